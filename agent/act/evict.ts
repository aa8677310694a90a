/**
 * contain:file and delete:file. Both take the file away by rename, look at what was taken, and only then
 * remove it; what proves to be something else goes back. To look first and remove then would leave time to
 * swap the file in between (THREATS: measured, it takes the wrong one).
 */
import { closeSync } from 'node:fs';
import { type FileFlag, type FileTarget, GuestPath, type Outcome } from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import type { OpenedFile } from '../linux/root.ts';
import { digest } from './digest.ts';
import { readState } from './file-state.ts';
import { liftFlags, returnFlags } from './lifted-flags.ts';
import { obstacleOf } from './obstacle.ts';
import { requireTellable } from './tellable.ts';
import { type Effect, inWorkplace, type Work } from './work.ts';
import type { Workplace } from './workplace.ts';

/** By then the host has the content in its vault; the outcome tells how the file was besides. */
export function containFile(target: FileTarget, work: Work): Promise<Effect> {
  return evict(target, work, (file, flags) => {
    const { state: read, lacks } = readState(file);
    const state = { ...read, ...(flags.length > 0 && { flags: [...flags] }) };
    return requireTellable('contain:file', { code: 'done', state, ...(lacks && { detail: lacks }) });
  });
}

export function deleteFile(target: FileTarget, work: Work): Promise<Effect> {
  return evict(target, work, () => ({ code: 'done' }));
}

/** The outcome when it is taken, told of the file and the flags that it had. */
type Describe = (file: OpenedFile, flags: readonly FileFlag[]) => Outcome;

async function evict(target: FileTarget, work: Work, describe: Describe): Promise<Effect> {
  const { descriptor } = openTarget(target, work);
  let lifted: readonly FileFlag[] = [];
  const leave = (): void => {
    try {
      // Where the file stays, also by another name, it is as it was.
      returnFlags(descriptor, lifted);
    } finally {
      closeSync(descriptor);
    }
  };
  try {
    const { outcome, finish } = await inWorkplace(
      target.path,
      work,
      async (workplace) => {
        lifted = liftFlags('file', descriptor, work.owe);
        return take(workplace, target, work, (file) => describe(file, lifted));
      },
      { liftsFlags: true },
    );
    return {
      outcome,
      finish: () => {
        finish?.();
        leave();
      },
    };
  } catch (error) {
    throw endedBy(error, leave);
  }
}

async function take(
  workplace: Workplace,
  target: FileTarget,
  work: Work,
  describe: (file: OpenedFile) => Outcome,
): Promise<Effect> {
  workplace.take();
  try {
    const outcome = await examine(workplace, target, work, describe);
    return { outcome, finish: () => workplace.discardFile() };
  } catch (error) {
    throw putBack(workplace, error);
  }
}

/** The error to end with; it says so when the flags could not be put back. */
function endedBy(error: unknown, leave: () => void): unknown {
  try {
    leave();
    return error;
  } catch (cause) {
    const message = `${messageOf(error)}; its attributes could not be put back: ${messageOf(cause)}`;
    return new OutcomeError('failed', message, { cause: error, obstacle: obstacleOf(error) });
  }
}

/**
 * A file that has plainly changed is left where it is. This decides nothing that is decided later, but whose
 * attributes are lifted: never those of another file, nor of one of the agent's own.
 */
function openTarget(target: FileTarget, work: Work): OpenedFile {
  const file = work.root.openRegular(GuestPath.of(target.path));
  if (!file) throw new OutcomeError('changed', 'it is no regular file any more');
  try {
    work.protection.checkFile(file.status);
    checkIdentity(file, target);
    return file;
  } catch (error) {
    closeSync(file.descriptor);
    throw error;
  }
}

async function examine(
  workplace: Workplace,
  target: FileTarget,
  work: Work,
  describe: (file: OpenedFile) => Outcome,
): Promise<Outcome> {
  const file = workplace.look();
  if (!file) throw new OutcomeError('changed', 'it is no regular file any more');
  try {
    work.protection.checkFile(file.status);
    checkIdentity(file, target);
    const outcome = describe(file);
    const actual = await digest(file.descriptor);
    if (actual !== target.sha256) throw new OutcomeError('changed', `its content is now ${actual}`);
    return outcome;
  } finally {
    closeSync(file.descriptor);
  }
}

function checkIdentity({ status }: OpenedFile, { dev, ino }: FileTarget): void {
  if (status.dev !== dev || status.ino !== ino)
    throw new OutcomeError('changed', 'another file stands there');
}

/** The error to end with, once the file is back. */
export function putBack(workplace: Workplace, error: unknown): unknown {
  const putBackAs = workplace.putBack();
  if (!putBackAs) return error;
  const isCoded = error instanceof OutcomeError;
  const code = isCoded ? error.code : 'failed';
  return new OutcomeError(code, messageOf(error), { cause: error, putBackAs, obstacle: obstacleOf(error) });
}

/** After an agent that died: what was taken and not yet judged goes back. */
export function undoEviction(workplace: Workplace): void {
  try {
    workplace.putBack();
  } catch (error) {
    // Nothing had been taken.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

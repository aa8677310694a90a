/**
 * contain:file and delete:file. Both take the file away by rename, look at what was taken, and only then
 * remove it; what proves to be something else goes back. To look first and remove then would leave time to
 * swap the file in between (THREATS: measured, it takes the wrong one).
 */
import { closeSync } from 'node:fs';
import { type FileTarget, GuestPath, type Outcome } from '../../protocol/index.ts';
import { OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import type { OpenedFile } from '../linux/root.ts';
import { digest } from './digest.ts';
import { readState } from './file-state.ts';
import { requireTellable } from './tellable.ts';
import { type Effect, inWorkplace, type Work } from './work.ts';
import type { Workplace } from './workplace.ts';

/** By then the host has the content in its vault; the outcome tells how the file was besides. */
export function containFile(target: FileTarget, work: Work): Promise<Effect> {
  return evict(target, work, (file) => {
    const { state, lacks } = readState(file);
    return requireTellable('contain:file', { code: 'done', state, ...(lacks && { detail: lacks }) });
  });
}

export function deleteFile(target: FileTarget, work: Work): Promise<Effect> {
  return evict(target, work, () => ({ code: 'done' }));
}

async function evict(
  target: FileTarget,
  work: Work,
  describe: (file: OpenedFile) => Outcome,
): Promise<Effect> {
  checkBefore(target, work);
  return inWorkplace(target.path, work, async (workplace) => {
    workplace.take();
    try {
      const outcome = await examine(workplace, target, work, describe);
      return { outcome, finish: () => workplace.discardFile() };
    } catch (error) {
      throw putBack(workplace, error);
    }
  });
}

/** A file that has plainly changed is left where it is. This decides nothing that is decided later. */
function checkBefore(target: FileTarget, work: Work): void {
  const file = work.root.openRegular(GuestPath.of(target.path));
  if (!file) throw new OutcomeError('changed', 'it is no regular file any more');
  closeSync(file.descriptor);
  checkIdentity(file, target);
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
  const message = error instanceof Error ? error.message : String(error);
  return new OutcomeError(isCoded ? error.code : 'failed', message, { cause: error, putBackAs });
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

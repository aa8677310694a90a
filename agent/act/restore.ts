/** restore:file: a contained file as it was, where nothing stands now. */
import { closeSync } from 'node:fs';
import type { FileFlag, RestoreTarget } from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { isWithoutFlags, setFlags } from '../linux/flags.ts';
import { applyState } from './file-state.ts';
import { makeFile } from './fresh-file.ts';
import { type Effect, inWorkplace, type Work } from './work.ts';
import type { Workplace } from './workplace.ts';

export function restoreFile(target: RestoreTarget, work: Work): Promise<Effect> {
  const { sha256, state } = target;
  return inWorkplace(
    target.path,
    work,
    async (workplace) => {
      await makeFile(workplace, sha256, work, (descriptor) => applyState(descriptor, state));
      if (!state.flags?.length) placeFresh(workplace);
      const detail = state.flags?.length ? placeFlagged(workplace, state.flags, work) : undefined;
      return { outcome: { code: 'done', ...(detail !== undefined && { detail }) } };
    },
    { liftsFlags: true },
  );
}

/**
 * Puts the new file in place and only then sets its flags: with them it could not be moved. Gives in words what could
 * not be set; the file is back by then.
 */
function placeFlagged(workplace: Workplace, flags: readonly FileFlag[], work: Work): string | undefined {
  const file = workplace.look();
  if (!file) throw new OutcomeError('failed', 'the new file is no regular file any more');
  try {
    work.owe({ of: 'file', identity: file.status.identity, flags: [...flags] });
    placeFresh(workplace);
    setFlags(file.descriptor, flags);
    return undefined;
  } catch (error) {
    if (error instanceof OutcomeError || (errnoOf(error) !== 'EPERM' && !isWithoutFlags(error))) throw error;
    return `it could not be made ${flags.join(' and ')} again: ${messageOf(error)}`;
  } finally {
    closeSync(file.descriptor);
  }
}

/** Puts the workplace's new file in place; throws `occupied` when something stands there. */
export function placeFresh(workplace: Workplace): void {
  try {
    workplace.place();
  } catch (error) {
    workplace.discardFile();
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new OutcomeError('occupied', 'something stands there already', { cause: error });
  }
}

/** restore:file: a contained file as it was, where nothing stands now. */
import type { RestoreTarget } from '../../protocol/index.ts';
import { OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { applyState } from './file-state.ts';
import { makeFile } from './fresh-file.ts';
import { type Effect, inWorkplace, type Work } from './work.ts';
import type { Workplace } from './workplace.ts';

export function restoreFile(target: RestoreTarget, work: Work): Promise<Effect> {
  return inWorkplace(target.path, work, async (workplace) => {
    await makeFile(workplace, target.sha256, work, (descriptor) => applyState(descriptor, target.state));
    placeFresh(workplace);
    return { outcome: { code: 'done' } };
  });
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

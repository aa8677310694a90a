/** What a command works with, and what its work amounts to. */
import { closeSync } from 'node:fs';
import { GuestPath, type Outcome, type WireBytes } from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import type { Root } from '../linux/root.ts';
import type { Protection } from './protection.ts';
import { Workplace } from './workplace.ts';

export interface Work {
  readonly root: Root;
  readonly protection: Protection;
  /** Name for the workplace of this command, written down beforehand. */
  readonly workplace: string;
  /** Where staged content lies; undefined when it was not staged. */
  staged(hash: string): string | undefined;
}

/** The outcome, which is made durable; then `finish` does what cannot be undone, and tidies up. */
export interface Effect {
  readonly outcome: Outcome;
  finish?(): void;
}

/** Runs `act` in a workplace beside `path`. It is removed at once when `act` throws, else when the effect is finished. */
export async function inWorkplace(
  path: WireBytes,
  work: Work,
  act: (workplace: Workplace) => Promise<Effect>,
): Promise<Effect> {
  const target = GuestPath.of(path);
  if (target.name.length === 0) throw new OutcomeError('malformed', 'the path names a directory');
  const parent = work.root.openParent(target);
  let workplace: Workplace | undefined;
  const leave = (): void => {
    workplace?.remove();
    closeSync(parent);
  };
  try {
    work.protection.checkName(parent, target.name);
    workplace = Workplace.make(parent, target.name, work.workplace);
    const { outcome, finish } = await act(workplace);
    return {
      outcome,
      finish: () => {
        finish?.();
        leave();
      },
    };
  } catch (error) {
    throw leaveAfter(error, leave, work);
  }
}

/** The error to end with; another one when the workplace still holds what could not be put back. */
function leaveAfter(error: unknown, leave: () => void, work: Work): unknown {
  try {
    leave();
    return error;
  } catch (cause) {
    const message = `${messageOf(error)}; what was taken lies in ${work.workplace} beside: ${messageOf(cause)}`;
    return new OutcomeError('failed', message, { cause: error });
  }
}

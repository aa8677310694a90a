/** What a command works with, and what its work amounts to. */
import { closeSync } from 'node:fs';
import { type FileFlag, GuestPath, type Outcome, type WireBytes } from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import type { Root } from '../linux/root.ts';
import { liftFlags, type Owe, returnFlags } from './lifted-flags.ts';
import { obstacleOf, parentError } from './obstacle.ts';
import type { Protection } from './protection.ts';
import { Workplace } from './workplace.ts';

export interface Work {
  readonly root: Root;
  readonly protection: Protection;
  /** Name for the workplace of this command, written down beforehand. */
  readonly workplace: string;
  /** Where staged content lies; undefined when it was not staged. */
  staged(hash: string): string | undefined;
  /** Writes down that attributes are cleared which are to be put back. */
  readonly owe: Owe;
}

/** The outcome, which is made durable; then `finish` does what cannot be undone, and tidies up. */
export interface Effect {
  readonly outcome: Outcome;
  finish?(): void;
}

export interface Conduct {
  /** A directory that is immutable or append-only is opened to change for as long as the work takes. */
  readonly liftsFlags?: boolean;
}

/** Runs `act` in a workplace beside `path`. It is removed at once when `act` throws, else when the effect is finished. */
export async function inWorkplace(
  path: WireBytes,
  work: Work,
  act: (workplace: Workplace) => Promise<Effect>,
  { liftsFlags = false }: Conduct = {},
): Promise<Effect> {
  const target = GuestPath.of(path);
  if (target.name.length === 0) throw new OutcomeError('malformed', 'the path names a directory');
  const parent = openParent(target, work);
  let workplace: Workplace | undefined;
  let lifted: readonly FileFlag[] = [];
  const leave = (): void => {
    try {
      workplace?.remove();
    } finally {
      returnFlags(parent, lifted);
      closeSync(parent);
    }
  };
  try {
    work.protection.checkName(parent, target.name);
    if (liftsFlags) lifted = liftFlags('parent', parent, work.owe);
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

function openParent(target: GuestPath, { root }: Work): number {
  try {
    return root.openParent(target);
  } catch (error) {
    throw parentError(error);
  }
}

/** The error to end with; another one when the workplace still holds what could not be put back. */
function leaveAfter(error: unknown, leave: () => void, work: Work): unknown {
  try {
    leave();
    return error;
  } catch (cause) {
    const message = `${messageOf(error)}; what was taken lies in ${work.workplace} beside: ${messageOf(cause)}`;
    return new OutcomeError('failed', message, { cause: error, obstacle: obstacleOf(error) });
  }
}

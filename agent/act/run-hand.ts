/**
 * The hand: a process of the agent that carries out what commands do to the guest, one after another. It says what
 * came of it before it does what cannot be undone, and waits for the word to finish.
 */
import { createInterface } from 'node:readline';
import type { Instruction, Outcome } from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { Root } from '../linux/root.ts';
import { effectOf, type Leftover, tidyUp } from './carry-out.ts';
import { owe } from './journal.ts';
import { type Possessions, Protection } from './protection.ts';
import type { Effect } from './work.ts';

/** The first line, which is answered when it is ready for orders. */
export interface HandIntroduction {
  readonly root: string;
  readonly possessions: Possessions;
}

export type Order =
  | {
      readonly act: Instruction;
      readonly workplace: string;
      readonly staged: string | null;
      /** The file of the journal in which it is written down what attributes are cleared, before they are. */
      readonly ledger: string;
    }
  | { readonly finish: true }
  | { readonly tidy: Leftover };

export type Reply =
  | { readonly outcome: Outcome }
  | { readonly ready: true }
  /** What was taken is back, but for what this says. */
  | { readonly lost: string }
  | { readonly failed: string };

export async function runHand(): Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { root: path, possessions } = JSON.parse((await lines.next()).value as string) as HandIntroduction;
  const root = new Root(path);
  const protection = new Protection(possessions);
  tell({ ready: true });
  let finish: Effect['finish'];
  const carryOut = async (order: Order): Promise<Reply> => {
    if ('act' in order) {
      const { act, workplace, staged, ledger } = order;
      const effect = await effectOf(act, {
        ...{ root, protection, workplace, staged: () => staged ?? undefined },
        owe: (owed) => owe(ledger, owed),
      });
      finish = effect.finish;
      return { outcome: effect.outcome };
    }
    if ('tidy' in order) {
      const lost = await tidyUp(order.tidy, root);
      return lost === undefined ? { ready: true } : { lost };
    }
    finish?.();
    return { ready: true };
  };
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const reply = await carryOut(JSON.parse(line.value) as Order).catch((error) => ({
      failed: messageOf(error),
    }));
    tell(reply);
  }
}

const tell = (reply: Reply): void => void process.stdout.write(`${JSON.stringify(reply)}\n`);

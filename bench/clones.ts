/** Ten guests over copies of one tree, scanned at once by an engine that knows nothing yet, beside one such guest. */
import { Engine } from './engine.ts';
import { type BenchGuest, startGuest } from './guest.ts';
import { tellOutcome } from './scans.ts';
import { figure, heading, row } from './table.ts';
import { copyOf } from './trees.ts';

const GUESTS = 10;

export async function benchClones(tree: string, rules: string): Promise<void> {
  heading(`${GUESTS} guests over copies of one tree`);
  using copies = new DisposableStack();
  await using running = new AsyncDisposableStack();
  const guests: BenchGuest[] = [];
  for (let guest = 0; guest < GUESTS; guest++) {
    guests.push(running.use(await startGuest(copies.use(copyOf(tree)).root)));
  }
  const plugins = { yara: { rules: [rules], engine: 'native' } };
  const scan = async (some: readonly BenchGuest[], agentHashes: boolean) => {
    await using engine = await Engine.start({ plugins, agentHashes });
    return engine.scan(some);
  };
  const one = await scan(guests.slice(0, 1), false);
  row('one, cold', one);
  const fetched = await scan(guests, false);
  row(`${GUESTS}, all content fetched`, fetched);
  const claimed = await scan(guests, true);
  row(`${GUESTS}, agents' hashes taken`, claimed);
  tellOutcome(claimed);
  figure(`${GUESTS} guests, content fetched`, fetched.seconds / one.seconds, ' × one', 'at most', 1.3);
  figure(`${GUESTS} guests, agents' hashes taken`, claimed.seconds / one.seconds, ' × one', 'at most', 1.3);
}

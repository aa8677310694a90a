/** Ten guests over one tree, scanned at once by an engine that knows nothing yet, beside one such guest. */
import { Engine } from './engine.ts';
import { type BenchGuest, startGuest } from './guest.ts';
import { tellOutcome } from './scans.ts';
import { figure, heading, row } from './table.ts';
import { copyOf, settled } from './trees.ts';

const GUESTS = 10;

/**
 * Clones of one image are the same down to inodes and times: their agents serve one tree. Copies have inodes and
 * times of their own, as guests that were installed alike.
 */
export async function benchClones(tree: string, rules: string): Promise<void> {
  heading(`${GUESTS} guests`);
  using copies = new DisposableStack();
  const copied = Array.from({ length: GUESTS }, () => copies.use(copyOf(tree)).root);
  await settled();
  await using running = new AsyncDisposableStack();
  const serve = async (roots: readonly string[]): Promise<BenchGuest[]> => {
    const guests: BenchGuest[] = [];
    for (const root of roots) guests.push(running.use(await startGuest(root)));
    return guests;
  };
  const [of, alike] = [await serve(Array<string>(GUESTS).fill(tree)), await serve(copied)];
  const plugins = { yara: { rules: [rules], engine: 'native' } };
  const scan = async (some: readonly BenchGuest[], agentHashes: boolean, cloneLines = false) => {
    await using engine = await Engine.start({ plugins, agentHashes, cloneLines });
    return engine.scan(some);
  };
  const one = await scan(of.slice(0, 1), true);
  row('one, cold', one);
  const clones = await scan(of, true, true);
  row(`${GUESTS} clones, cloneLines`, clones);
  tellOutcome(clones);
  const claimed = await scan(alike, true);
  row(`${GUESTS} copies of one tree`, claimed);
  tellOutcome(claimed);
  const fetched = await scan(alike, false);
  row('the same, nobody believed', fetched);
  figure(`${GUESTS} clones of one image, cloneLines`, clones.seconds / one.seconds, ' × one', 'at most', 1.3);
  figure(`${GUESTS} copies of one tree`, claimed.seconds / one.seconds, ' × one', 'at most', 1.3);
  figure('the same, nobody believed', fetched.seconds / one.seconds, ' × one', 'at most', GUESTS);
}

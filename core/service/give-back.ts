/**
 * Memory that is not used any more, given back to the host. V8 looks for it when it needs room itself: in a service that
 * has nothing to do, what a pack took (hundreds of MiB) would stay taken until a scan begins.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (how: { readonly type: 'major'; readonly execution: 'async' }) => Promise<void>;

let collect: Collect | undefined;

/** Resolves when it was looked for; the event loop is not held up for the whole of it. */
export async function giveMemoryBack(): Promise<void> {
  if (!collect) {
    // There is no other way to ask for it; the flag only adds the function, to contexts that are made from now on.
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as Collect;
    setFlagsFromString('--no-expose-gc');
  }
  // What had been found in use when a collection was under way already stays until the next one.
  for (let times = 0; times < 2; times++) await collect({ type: 'major', execution: 'async' });
}

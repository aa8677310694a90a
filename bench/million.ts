/** A guest of a million files: what the daemon holds in memory for it. */
import { Engine } from './engine.ts';
import { startGuest } from './guest.ts';
import { tellOutcome } from './scans.ts';
import { heading, line, row } from './table.ts';
import { million, settled } from './trees.ts';

export async function benchMillion(_tree: string, rules: string): Promise<void> {
  heading('a million files');
  line('  making them');
  using tree = million();
  await settled();
  await using guest = await startGuest(tree.root);
  await using engine = await Engine.start({ plugins: { yara: { rules: [rules], engine: 'native' } } });
  const cold = await engine.scan([guest]);
  row('cold scan', cold);
  tellOutcome(cold);
  const again = await engine.scan([guest]);
  row('again, nothing changed', again);
  tellOutcome(again);
}

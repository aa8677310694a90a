#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/**
 * Benchmarks beside what a user would run instead: `npm run bench -- [PART…] [--tree DIR] [--rules PATH]`. Without a
 * tree, a sample of /usr plays the guest (10,000 files, 400 MB). Figures are ratios to be compared within one
 * run: machines differ, and are shared.
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { benchBudget } from './budget.ts';
import { benchChannel } from './channel.ts';
import { benchClones } from './clones.ts';
import { benchHashset } from './hashset.ts';
import { benchHostile } from './hostile.ts';
import { benchMillion } from './million.ts';
import { benchClamav, benchYara } from './scans.ts';
import { benchService } from './service.ts';
import { benchSurvey } from './survey.ts';
import { line } from './table.ts';
import { sample, type Tree } from './trees.ts';
import { benchWasm } from './wasm.ts';

/** What a part is given: the tree that plays the guest, and YARA rules. */
type Part = (tree: string, rules: string) => Promise<void>;

const PARTS: Readonly<Record<string, Part>> = {
  channel: benchChannel,
  budget: benchBudget,
  yara: benchYara,
  clamav: benchClamav,
  clones: benchClones,
  wasm: benchWasm,
  million: benchMillion,
  hashset: benchHashset,
  service: benchService,
  survey: benchSurvey,
  hostile: benchHostile,
};
const OWN_RULES = fileURLToPath(new URL('../../demo/rules', import.meta.url));

// As core/main.ts does.
setFlagsFromString('--no-incremental-marking');

const { values, positionals } = parseArgs({
  options: { rules: { type: 'string', default: OWN_RULES }, tree: { type: 'string' } },
  allowPositionals: true,
});
const chosen = positionals.length > 0 ? positionals : Object.keys(PARTS);
const unknown = chosen.find((name) => !Object.hasOwn(PARTS, name));
if (unknown !== undefined) {
  process.stderr.write(`bench: there is no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}\n`);
  process.exitCode = 64;
} else {
  using tree = values.tree === undefined ? sample('/usr') : given(values.tree);
  line(`guest: ${values.tree ?? 'a sample of /usr'}; rules: ${values.rules}`);
  for (const name of chosen) await PARTS[name]?.(tree.root, resolve(values.rules));
}

function given(path: string): Tree {
  return { root: resolve(path), [Symbol.dispose]: () => undefined };
}

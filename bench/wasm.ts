/** What the WASM engine costs with ever more rules: it builds its rules' condition module anew for each file. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from './engine.ts';
import { startGuest } from './guest.ts';
import { ruleFiles } from './peers.ts';
import { heading, line, row } from './table.ts';
import { filesBelow } from './trees.ts';

const COUNTS = [10, 100, 1000];
const FILES = 200;
const RULE = /^\s*(?:(?:private|global)\s+)*rule\s+\w+/gm;

export async function benchWasm(tree: string, rules: string): Promise<void> {
  heading(`yara engines over ${FILES} files, by the number of rules`);
  const few = mkdtempSync(join(tmpdir(), 'lazaret-bench-few-'));
  try {
    for (const [index, path] of filesBelow(tree).slice(0, FILES).entries()) {
      copyFileSync(join(tree, path), join(few, String(index)));
    }
    await using guest = await startGuest(few);
    for (const count of COUNTS) {
      const { files, rules: held } = firstRules(rules, count);
      for (const engine of ['native', 'wasm']) {
        await using started = await Engine.start({ plugins: { yara: { rules: files, engine } } });
        row(`${engine}, ${held} rules`, await started.scan([guest]));
      }
      if (held < count) {
        line(`  there are only ${held} rules: name more with --rules`);
        return;
      }
    }
  } finally {
    rmSync(few, { recursive: true });
  }
}

/** As many rule files as make up `count` rules, the small ones first. */
function firstRules(path: string, count: number): { files: string[]; rules: number } {
  const counted = ruleFiles(path)
    .map((file) => ({ file, rules: readFileSync(file, 'utf8').match(RULE)?.length ?? 0 }))
    .sort((a, b) => a.rules - b.rules);
  const taken: string[] = [];
  let sum = 0;
  for (const { file, rules } of counted) {
    if (sum >= count) break;
    taken.push(file);
    sum += rules;
  }
  return { files: taken, rules: sum };
}

/** Lists of ten million hashes: how long the index takes to build, how large it is, what a lookup costs. */
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HashsetFigures } from './hashset-process.ts';
import { figure, heading, line } from './table.ts';

const HASHES = 10_000_000;
const FAMILIES = 1_000;
const LINES_AT_ONCE = 10_000;
const ENTRY = fileURLToPath(new URL('./hashset-process.js', import.meta.url));

/** Lists as vendors have them: of families, and of names that are numbered and contents of known size. */
const LISTS: Readonly<Record<string, (sha256: string, index: number) => string>> = {
  'malware-bazaar.csv': (sha256, index) =>
    `"2026-01-01 00:00:00", "${sha256}", "${sha256.slice(32)}", "${sha256.slice(24)}", "reporter", "sample-${index}.exe", "exe", "application/x-dosexec", "Family${index % FAMILIES}", "n/a", "n/a", "n/a", "n/a", "n/a"`,
  'clamav.hsb': (sha256, index) => `${sha256}:${index}:Win.Malware.Agent-${1_000_000 + index}-0:73`,
};

export async function benchHashset(): Promise<void> {
  for (const [name, lineOf] of Object.entries(LISTS)) {
    heading(`hashset: ${HASHES} hashes of ${name}`);
    const directory = mkdtempSync(join(tmpdir(), 'lazaret-bench-hashes-'));
    try {
      bench(directory, name, lineOf);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
}

function bench(directory: string, name: string, lineOf: (sha256: string, index: number) => string): void {
  const [list, cache] = [join(directory, name), join(directory, 'cache')];
  mkdirSync(cache);
  writeList(list, lineOf);
  line(`  a list of ${(statSync(list).size / 1e6).toFixed(0)} MB`);
  const run = (): HashsetFigures =>
    JSON.parse(
      execFileSync(process.execPath, ['--expose-gc', ENTRY, list, cache, `${HASHES}`], { encoding: 'utf8' }),
    );
  const first = run();
  const bytes = readdirSync(cache).reduce((sum, file) => sum + statSync(join(cache, file)).size, 0);
  const again = run();
  line(
    `  built in ${first.openSeconds.toFixed(1)} s (CPU ${first.openCpu.toFixed(1)} s), opened again in ${(again.openSeconds * 1000).toFixed(1)} ms`,
  );
  figure('memory while it is built, Node with it', first.peakMegabytes, ' MB', 'at most', 256);
  figure('memory that the open index takes', again.grownMegabytes, ' MB', 'at most', 16);
  figure('index on disk', bytes / HASHES, ' bytes a hash', 'at most', 40);
  figure('a file that is listed', again.hitMicroseconds, ' µs', 'at most', 10);
  figure('a file that is not', again.missMicroseconds, ' µs', 'at most', 10);
}

function writeList(path: string, lineOf: (sha256: string, index: number) => string): void {
  const file = openSync(path, 'w');
  for (let index = 0; index < HASHES; index += LINES_AT_ONCE) {
    const lines = Array.from({ length: LINES_AT_ONCE }, (_, more) =>
      lineOf(listedHash(index + more), index + more),
    );
    writeSync(file, `${lines.join('\n')}\n`);
  }
  closeSync(file);
}

export const listedHash = (index: number): string => hash('sha256', `listed ${index}`);

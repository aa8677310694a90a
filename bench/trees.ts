/** Trees to scan: a sample of a large one, copies of one, and one of a million files. */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

export interface Tree extends Disposable {
  readonly root: string;
}

const SAMPLE_FILES = 10_500;
const SAMPLE_BYTES = 420_000_000;

/** At least 10,000 files and 400 MB of `from`, the same ones on the same machine: those with the lowest hash of their path. */
export function sample(from: string): Tree {
  const files = filesBelow(from)
    .map((path) => ({ path, rank: createHash('md5').update(path).digest('latin1') }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-tree-'));
  let [count, bytes] = [0, 0];
  for (const { path } of files) {
    if (count >= SAMPLE_FILES && bytes >= SAMPLE_BYTES) break;
    const copy = join(root, path);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(join(from, path), copy);
    count += 1;
    bytes += lstatSync(copy).size;
  }
  return owned(root);
}

export function copyOf(tree: string): Tree {
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-copy-'));
  cpSync(tree, root, { recursive: true, verbatimSymlinks: true });
  return owned(root);
}

/** A million small files, a hundred to a directory, no two alike. */
export function million(): Tree {
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-million-'));
  for (let directory = 0; directory < 10_000; directory++) {
    const path = join(root, String(directory % 100), String(directory));
    mkdirSync(path, { recursive: true });
    for (let file = 0; file < 100; file++) writeFileSync(join(path, String(file)), `${directory} ${file}\n`);
  }
  return owned(root);
}

let lastMade = Number.NEGATIVE_INFINITY;
/** `policy.knownContent.settleTime`, and a little more. */
const SETTLE_MS = 62_000;

function owned(root: string): Tree {
  lastMade = performance.now();
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

/** Resolves when the trees that were made are old enough for their files to be kept as unchanged. */
export const settled = (): Promise<void> => setTimeout(Math.max(0, lastMade + SETTLE_MS - performance.now()));

/** Paths relative to `root`. One directory at a time: `recursive` of readdir does not come to an end on some trees. */
export function filesBelow(root: string, directory = ''): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(root, path);
    return entry.isFile() ? [path] : [];
  });
}

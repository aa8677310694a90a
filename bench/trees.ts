/** Trees to scan: a sample of a large one, copies of one, and one of a million files. */
import { createHash, randomBytes } from 'node:crypto';
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
/** One that alone would be a quarter of the sample. */
const LARGEST_DIRECTORY = 100_000_000;

/**
 * At least 10,000 files and 400 MB of `from`, in whole directories but for the largest ones, the same on the same
 * machine: those with the lowest hash of their path.
 */
export function sample(from: string): Tree {
  const directories = Map.groupBy(filesBelow(from), dirname);
  const ranked = [...directories]
    .map(([directory, files]) => ({ rank: createHash('md5').update(directory).digest('latin1'), files }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-tree-'));
  let [count, bytes] = [0, 0];
  for (const { files } of ranked) {
    if (count >= SAMPLE_FILES && bytes >= SAMPLE_BYTES) break;
    const size = files.reduce((sum, path) => sum + lstatSync(join(from, path)).size, 0);
    if (size > LARGEST_DIRECTORY) continue;
    for (const path of files) {
      const copy = join(root, path);
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(join(from, path), copy);
    }
    bytes += size;
    count += files.length;
  }
  return owned(root);
}

export function copyOf(tree: string): Tree {
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-copy-'));
  cpSync(tree, root, { recursive: true, verbatimSymlinks: true });
  return owned(root);
}

/** A few files that begin as those do which rules ask for by their first bytes, enough of each for every process. */
export function oneOfEachKind(): Tree {
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-kinds-'));
  for (const [kind, head] of ['MZ', '\x7fELF', 'PK\x03\x04', '#!/bin/sh\n', '<?php '].entries()) {
    for (let copy = 0; copy < 64; copy++) {
      writeFileSync(join(root, `${kind}-${copy}`), `${head}${copy}`.padEnd(4096, '\0'), 'latin1');
    }
  }
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

const SOME_FILES = 500;

/** So few files of a tree that they are scanned in a moment. */
export function some(tree: string): Tree {
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-some-'));
  for (const path of filesBelow(tree).slice(0, SOME_FILES)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(join(tree, path), join(root, path));
  }
  return owned(root);
}

const EVIL = 'found by its hash\n';
export const FLOODED_HASH = createHash('sha256').update(EVIL).digest('hex');
const [STARTING_FILES, STARTS, EVIL_FILES] = [1_000, 500, 10_000];

/** Files that start half a million things, and copies of one that is malware under names of 250 bytes. */
export function flooded(): Tree {
  const root = mkdtempSync(join(tmpdir(), 'lazaret-bench-flooded-'));
  const starting = join(root, 'etc', 'modules-load.d');
  const evil = join(root, 'srv');
  for (const directory of [starting, evil]) mkdirSync(directory, { recursive: true });
  for (let file = 0; file < STARTING_FILES; file++) {
    const names = Array.from({ length: STARTS }, () => randomBytes(24).toString('hex'));
    writeFileSync(join(starting, `${file}.conf`), names.join('\n'));
  }
  for (let file = 0; file < EVIL_FILES; file++)
    writeFileSync(join(evil, String(file).padEnd(250, 'x')), EVIL);
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

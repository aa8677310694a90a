/**
 * The files of the demo's guest: a few hundred real ones copied from this machine, a weak sshd configuration,
 * and the samples to be found.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  type Dirent,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from './package-root.ts';
import { samples } from './samples.ts';

const KiB = 1024;

/** Where real files come from: so many of each, none larger than that. */
const SOURCES = [
  { directory: '/usr/bin', count: 120, maxBytes: 512 * KiB },
  { directory: '/etc', count: 100, maxBytes: 64 * KiB },
  { directory: '/usr/share', count: 200, maxBytes: 128 * KiB },
] as const;

/** Fills an empty folder; returns how many files it has then. */
export function plantTree(root: string): number {
  let files = 0;
  for (const source of SOURCES) {
    for (const path of take(worldReadableFiles(source.directory, source.maxBytes), source.count)) {
      put(join(root, path), readFileSync(path), statSync(path).mode & 0o755);
      files++;
    }
  }
  cpSync(join(packageRoot, 'demo', 'files'), root, { recursive: true });
  put(join(root, '/etc/os-release'), readFileSync('/etc/os-release'), 0o644);
  put(join(root, '/etc/machine-id'), Buffer.from(`${randomBytes(16).toString('hex')}\n`), 0o444);
  for (const sample of samples()) put(join(root, sample.path), sample.content, sample.mode);
  return files + samples().length;
}

function put(path: string, content: Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const item of items) {
    if (taken++ === count) return;
    yield item;
  }
}

/** Regular files that anyone may read, directory by directory; links are not followed. */
function* worldReadableFiles(directory: string, maxBytes: number): Generator<string> {
  for (const entry of entriesOf(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* worldReadableFiles(path, maxBytes);
    else if (entry.isFile()) {
      const { mode, size } = statSync(path);
      if ((mode & 0o004) !== 0 && size <= maxBytes) yield path;
    }
  }
}

function entriesOf(directory: string): Dirent[] {
  const isOpenToAll = (statSync(directory).mode & 0o005) === 0o005;
  return isOpenToAll ? readdirSync(directory, { withFileTypes: true }) : [];
}

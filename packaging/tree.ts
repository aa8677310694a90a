/** What a package holds: which file goes where, and laying that out in a folder. */
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** One file of a package. `path` is where it is installed, without the leading slash. */
export type Entry = { readonly path: string } & (
  | { readonly from: string; readonly mode: number }
  | { readonly content: string | Buffer; readonly mode: number }
  | { readonly link: string }
);

export const file = (path: string, from: string): Entry => ({ path, from, mode: 0o644 });
export const program = (path: string, from: string): Entry => ({ path, from, mode: 0o755 });
export const text = (path: string, content: string | Buffer): Entry => ({ path, content, mode: 0o644 });

/** The files below `from`, as files below `path`; `wanted` is asked with the path relative to `from`. */
export function filesBelow(path: string, from: string, wanted: (name: string) => boolean): Entry[] {
  return readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(from, join(entry.parentPath, entry.name)))
    .filter(wanted)
    .map((name) => file(join(path, name), join(from, name)));
}

/**
 * Writes the entries below `root`, which is new: modes do not depend on the umask or the source, every date is
 * `epoch` (seconds).
 */
export function layOut(root: string, entries: readonly Entry[], epoch: number): void {
  for (const entry of entries) {
    const path = join(root, entry.path);
    mkdirSync(dirname(path), { recursive: true });
    if ('link' in entry) symlinkSync(entry.link, path);
    else if ('from' in entry) copyFileSync(entry.from, path);
    else writeFileSync(path, entry.content);
    if (!('link' in entry)) chmodSync(path, entry.mode);
  }
  const found = readdirSync(root, { recursive: true, withFileTypes: true });
  for (const entry of found) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    lutimesSync(path, epoch, epoch);
  }
  chmodSync(root, 0o755);
  lutimesSync(root, epoch, epoch);
}

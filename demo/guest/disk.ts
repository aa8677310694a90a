import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { GuestParts } from './parts.ts';

const run = promisify(execFile);
const MiB = 1024 * 1024;
/** Room for what is staged and set aside in the guest. */
const FREE = 128 * MiB;

/**
 * A disk image with the files below `root`. Without a journal, so that after a `sync` in the guest the image
 * can be read from outside as well.
 */
export async function buildDisk(parts: GuestParts, root: string, image: string): Promise<void> {
  const kibibytes = Math.ceil((sizeOf(root) * 1.1 + FREE) / 1024);
  await run(parts.mke2fs, [
    ...['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-E', 'root_owner=0:0'],
    ...['-d', root, image, `${kibibytes}k`],
  ]);
}

/** Sets an extended attribute of a file on an image that no guest has open. */
export async function setAttribute(
  parts: GuestParts,
  image: string,
  path: string,
  name: string,
  value: string,
): Promise<void> {
  await run(parts.debugfs, ['-w', '-R', `ea_set ${path} ${name} ${value}`, image]);
}

/** The value of an extended attribute as the image has it; undefined when there is none. */
export async function readAttribute(
  parts: GuestParts,
  image: string,
  path: string,
  name: string,
): Promise<string | undefined> {
  const { stdout } = await run(parts.debugfs, ['-R', `ea_get ${path} ${name}`, image]);
  return /^\S+ \(\d+\) = "(.*)"$/m.exec(stdout)?.[1];
}

function sizeOf(root: string): number {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) => sum + Math.ceil(statSync(join(entry.parentPath, entry.name)).size / 4096) * 4096 + 256,
      0,
    );
}

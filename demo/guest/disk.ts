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

/** Runs one command of debugfs(8) on an image that no guest has mounted; returns what it printed. */
export const editDisk = (parts: GuestParts, image: string, command: string): Promise<string> =>
  debugfs(parts, ['-w', '-R', command, image]);

/** The same for looking only; what a running guest has synced is there. */
export const inspectDisk = (parts: GuestParts, image: string, command: string): Promise<string> =>
  debugfs(parts, ['-R', command, image]);

/** The program exits with 0 whatever happens: what it has to complain about stands below its own name. */
async function debugfs(parts: GuestParts, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(parts.debugfs, args);
  const complaints = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('debugfs '));
  if (complaints.length > 0) throw new Error(`debugfs ${args.join(' ')}: ${complaints.join('; ')}`);
  return stdout;
}

/** Its own files alone: a link of the guest's leads anywhere in this machine, as `recursive` of readdir would. */
function sizeOf(directory: string): number {
  let size = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) size += sizeOf(path);
    else if (entry.isFile()) size += Math.ceil(statSync(path).size / 4096) * 4096 + 256;
  }
  return size;
}

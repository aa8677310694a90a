/**
 * The directory that clamd reads its signatures from (DatabaseDirectory). VERSION names ClamAV's own daily
 * database alone, so that other files can come and go without a sign: hence the look at the directory itself.
 */
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';

/** What clamd loads (libclamav, readdb.c), without what only restricts or configures it. */
const PLAIN = [
  '.hdb',
  '.hsb',
  '.hdu',
  '.hsu',
  '.mdb',
  '.msb',
  '.mdu',
  '.msu',
  '.ndb',
  '.ndu',
  '.ldb',
  '.ldu',
  '.idb',
  '.crb',
  '.yar',
  '.yara',
];
const SIGNED = ['.cvd', '.cld', '.cud'];
const RESTRICTING = [
  '.fp',
  '.sfp',
  '.ign',
  '.ign2',
  '.ftm',
  '.cfg',
  '.cdb',
  '.cat',
  '.pdb',
  '.wdb',
  '.gdb',
  '.cbc',
  '.pwdb',
  '.imp',
  '.info',
];
const ALL = new Set([...PLAIN, ...SIGNED, ...RESTRICTING]);
const HEADER_BYTES = 512;
const COUNT = 3;

/** What a pack may bring. Files that switch signatures off are not among it. */
export const DETECTING: ReadonlySet<string> = new Set(PLAIN);

export interface DatabaseState {
  /** Changes with every file that is added, removed or written. */
  readonly digest: string;
  /** When that was last, in ms since 1970. */
  readonly changedMs: number;
}

interface Database {
  readonly name: string;
  readonly facts: Stats;
}

/** Looks at all databases but `except`. Rejects when the directory cannot be read. */
export async function databaseState(directory: string, except: string): Promise<DatabaseState> {
  const sum = createHash('sha256');
  let changedMs = (await stat(directory)).ctimeMs;
  for (const { name, facts } of await databases(directory)) {
    if (name === except) continue;
    const { size, mtimeMs, ctimeMs, ino } = facts;
    sum.update(`${name}\0${size}\0${mtimeMs}\0${ctimeMs}\0${ino}\0`);
    changedMs = Math.max(changedMs, ctimeMs);
  }
  return { digest: sum.digest('hex'), changedMs };
}

/** Signatures in the directory's files: what signed databases say of themselves, and the lines of others. */
export async function countSignatures(directory: string): Promise<number> {
  let count = 0;
  for (const { name } of await databases(directory)) {
    const extension = extname(name).toLowerCase();
    if (SIGNED.includes(extension)) count += await countSigned(join(directory, name));
    else if (DETECTING.has(extension)) count += await countLines(join(directory, name), extension);
  }
  return count;
}

/** A link that leads nowhere and a FIFO hold no signatures; the latter would be waited for. */
async function databases(directory: string): Promise<Database[]> {
  const names = (await readdir(directory)).filter((name) => ALL.has(extname(name).toLowerCase()));
  const found: Database[] = [];
  for (const name of names.sort()) {
    const facts = await stat(join(directory, name)).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT' && cause.code !== 'ELOOP') throw cause;
    });
    if (facts?.isFile()) found.push({ name, facts });
  }
  return found;
}

/** `ClamAV-VDB:DATE:VERSION:COUNT:…` stands at the beginning. */
async function countSigned(path: string): Promise<number> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
  return Number(buffer.toString('latin1', 0, bytesRead).split(':')[COUNT]) || 0;
}

async function countLines(path: string, extension: string): Promise<number> {
  await using file = await open(path);
  const counts = extension.startsWith('.yar') ? /^\s*((private|global)\s+)*rule\s/ : /^[^#\s]/;
  let count = 0;
  for await (const line of file.readLines({ encoding: 'latin1' })) if (counts.test(line)) count += 1;
  return count;
}

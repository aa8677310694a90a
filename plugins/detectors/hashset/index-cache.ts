/**
 * Indexes kept from one start to the next. One is named by what its lists are on disk (place, inode, size, times of
 * change), since reading 10^7 lines to learn that nothing has changed takes as long as building it. That is
 * sound for lists that nobody but the operator can write: every write and every replacement moves the time of
 * change (ctime), which nothing but the clock sets. The name is made before the lists are read: one that changes
 * meanwhile has another name the next time.
 */
import { createHash, randomUUID } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, unlinkSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { type Logger, PluginError } from 'lazaret/plugin';
import { HashIndex } from './hash-index.ts';
import { buildIndex, type List } from './index-builder.ts';

/** Changes when what is made of a list does: how it is read, or the form of the index. */
const FORMAT = 1;
/** That in use, and that of signatures on trial or of those before. */
const KEPT = 2;
const ABANDONED_MS = 60 * 60 * 1000;
const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export interface Indexing {
  readonly lists: readonly List[];
  readonly cache: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly runLength?: number;
}

/** Opens the index of these lists, built if need be. Throws PluginError: `bad-signatures`, `engine-failed`. */
export async function openIndex(indexing: Indexing): Promise<HashIndex> {
  const { lists, cache } = indexing;
  const key = await keyOf(lists);
  const path = join(cache, `${key}.index`);
  const kept = openKept(path, key);
  if (kept !== undefined) {
    await utimes(path, new Date(), new Date()).catch(() => undefined);
    return kept;
  }
  try {
    return await build(indexing, key, path);
  } catch (cause) {
    if (cause instanceof PluginError || indexing.signal.aborted) throw cause;
    const message = `cannot write an index of hashes in ${cache} (${(cause as Error).message}): it needs about 80 bytes a hash there while it is built`;
    throw new PluginError('engine-failed', message, { cause });
  }
}

async function keyOf(lists: readonly List[]): Promise<string> {
  const sum = createHash('sha256').update(`${FORMAT}`);
  for (const { path, source, judgement } of lists) {
    const facts = await stat(path, { bigint: true }).catch((cause: unknown) => {
      throw new PluginError('bad-signatures', `cannot read the hash list ${path}: check the option "lists"`, {
        cause,
      });
    });
    const { dev, ino, size, mtimeNs, ctimeNs } = facts;
    sum.update(['', path, source, judgement, dev, ino, size, mtimeNs, ctimeNs].join('\0'));
  }
  return sum.digest('hex');
}

/** The index of that name; none when there is none or it is not whole. */
function openKept(path: string, key: string): HashIndex | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, O_RDONLY | O_NOFOLLOW);
    return new HashIndex(file, key);
  } catch {
    // It is built anew, whatever is wrong with it.
    if (file !== undefined) closeSync(file);
    return undefined;
  }
}

/** Whoever builds the same at the same time makes the same; the last one's stays. */
async function build(indexing: Indexing, key: string, path: string): Promise<HashIndex> {
  const { cache, lists, logger, signal, runLength } = indexing;
  logger.info('building an index of hashes, once for these lists', { lists: lists.length });
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const unfinished = join(cache, `${randomUUID()}.part`);
  const file = openSync(unfinished, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    const scratch = openScratch(`${unfinished}.scratch`);
    try {
      await buildIndex({ key, lists, file, scratch, signal, runLength });
    } finally {
      closeSync(scratch);
    }
    const index = new HashIndex(file, key);
    await give(unfinished, path, cache);
    return index;
  } catch (error) {
    closeSync(file);
    await rm(unfinished, { force: true });
    throw error;
  }
}

/** A file without a name: nothing is left of it when the process ends. */
function openScratch(path: string): number {
  const scratch = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  unlinkSync(path);
  return scratch;
}

/** A cache that was emptied meanwhile does not matter: the index is open. */
async function give(unfinished: string, path: string, cache: string): Promise<void> {
  try {
    await rename(unfinished, path);
    const directory = openSync(cache, O_RDONLY);
    fsyncSync(directory);
    closeSync(directory);
    await tidy(cache);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Removes all indexes but those used last, and what processes that were killed have left. */
async function tidy(cache: string): Promise<void> {
  const files = await Promise.all(
    (await readdir(cache))
      .filter((name) => /\.(index|part|scratch)$/.test(name))
      .map(async (name) => ({ path: join(cache, name), usedMs: (await stat(join(cache, name))).mtimeMs })),
  );
  const indexes = files.filter(({ path }) => path.endsWith('.index')).sort((a, b) => b.usedMs - a.usedMs);
  const abandoned = files.filter(
    ({ path, usedMs }) => !path.endsWith('.index') && usedMs < Date.now() - ABANDONED_MS,
  );
  await Promise.all([...indexes.slice(KEPT), ...abandoned].map(({ path }) => rm(path, { force: true })));
}

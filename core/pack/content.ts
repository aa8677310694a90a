/**
 * The files of a pack, read into memory under bounds, so that nothing of it is on a disk before everything in it is
 * known to be right. Of a pack that is not known to be signed only what says so is held (`verify.ts`).
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { createZstdDecompress, constants as zlib, zstdCompress } from 'node:zlib';
import { PackError } from './error.ts';
import { isPackPath } from './manifest.ts';
import { readTar, type TarEntry, writeTar } from './tar.ts';

/** By path within the pack. */
export type PackContent = ReadonlyMap<string, Buffer>;

const MIB = 1024 * 1024;
export const LIMITS = {
  archive: 128 * MIB,
  content: 256 * MIB,
  files: 20_002,
  entries: 50_000,
  depth: 16,
  /** What a decoder needs of memory, as a power of two: up to `zstd --ultra -20`. */
  windowLog: 25,
} as const;
const STRONG = 12;

/** Whether a file of a pack is to be held; asked of each before it is read, and may throw. */
export type Wanted = (file: { readonly path: string; readonly size: number }) => boolean;

/** A directory or a `.tar.zst`. Throws PackError: `not-found`, `unreadable`, `too-large`, `malformed`; and as `wants` does. */
export async function readContent(path: string, wants: Wanted = () => true): Promise<PackContent> {
  const facts = await lstat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw unreadable(path, cause);
    throw new PackError('not-found', `there is no pack at ${path}: check the path`, { cause });
  });
  if (facts.isSymbolicLink())
    throw new PackError('unreadable', `${path} is a symbolic link: name the pack itself`);
  return facts.isDirectory() ? readDirectory(path, wants) : readArchive(await openArchive(path), wants);
}

async function openArchive(path: string): Promise<Readable> {
  const file = await openRegular(path);
  const { size } = await file.stat();
  if (size <= LIMITS.archive) return file.createReadStream();
  await file.close();
  throw tooLarge();
}

/** An archive as it comes. Throws as `readContent` does. */
export async function readArchive(archive: Readable, wants: Wanted = () => true): Promise<PackContent> {
  const content = new Map<string, Buffer>();
  const names = new Set<string>();
  const check = ({ path, size, type }: TarEntry): boolean => {
    if (path === '' || path === './') return false;
    if (!isPackPath(type === 'directory' ? path.replace(/\/$/, '') : path)) throw malformed(badName(path));
    if (names.has(path)) throw malformed(`two entries of the name ${path}`);
    names.add(path);
    if (names.size > LIMITS.entries) throw malformed(`more than ${LIMITS.entries} files and directories`);
    return type === 'file' && wants({ path, size });
  };
  for await (const { path, bytes } of readTar(decompressed(archive), check)) {
    if (content.size >= LIMITS.files) throw malformed(`more than ${LIMITS.files} files`);
    content.set(path, bytes);
  }
  return content;
}

/** Bounded by what comes out, whatever goes in. */
async function* decompressed(archive: Readable): AsyncGenerator<Buffer> {
  const decoder = createZstdDecompress({ params: { [zlib.ZSTD_d_windowLogMax]: LIMITS.windowLog } });
  let left: number = LIMITS.content;
  try {
    // What the archive's own stream throws comes out of the decoder's.
    const bytes = archive.on('error', (error) => decoder.destroy(error)).pipe(decoder);
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      left -= chunk.length;
      if (left < 0) throw tooLarge();
      yield chunk;
    }
  } catch (cause) {
    throw cause instanceof PackError ? cause : undecodable(cause as NodeJS.ErrnoException);
  } finally {
    archive.destroy();
    decoder.destroy();
  }
}

function undecodable(cause: NodeJS.ErrnoException): PackError {
  if (cause.syscall !== undefined) return unreadable('the archive', cause);
  if (cause.code === 'ZSTD_error_frameParameter_windowTooLarge') {
    const message = `its archive takes more memory to unpack than ${2 ** LIMITS.windowLog / MIB} MiB: have it made by lazaret pack build, or by zstd without --long and --ultra`;
    return new PackError('too-large', message, { cause });
  }
  return new PackError('malformed', 'it is not a whole .tar.zst archive: get the pack again', { cause });
}

/** The same files always make the same archive. */
export function packArchive(content: PackContent): Promise<Buffer> {
  const sorted = [...content].sort(([a], [b]) => (a < b ? -1 : 1));
  return promisify(zstdCompress)(writeTar(sorted), {
    params: { [zlib.ZSTD_c_compressionLevel]: STRONG, [zlib.ZSTD_c_checksumFlag]: 1 },
  });
}

async function readDirectory(root: string, wants: Wanted): Promise<PackContent> {
  const content = new Map<string, Buffer>();
  let left: number = LIMITS.content;
  let entries = 0;
  const walk = async (below: string, depth: number): Promise<void> => {
    if (depth > LIMITS.depth) throw malformed(`directories nested deeper than ${LIMITS.depth}`);
    for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (++entries > LIMITS.entries) throw malformed(`more than ${LIMITS.entries} files and directories`);
      if (!isPackPath(path)) throw malformed(badName(path));
      if (entry.isDirectory()) await walk(path, depth + 1);
      else if (!entry.isFile()) throw malformed(`${path}, which is no regular file`);
      else if (wants({ path, size: (await lstat(join(root, path))).size })) {
        const file = await readBounded(join(root, path), left);
        left -= file.length;
        content.set(path, file);
      }
    }
  };
  await walk('', 0);
  return content;
}

/** Through one descriptor and never through a link. */
export async function readBounded(path: string, most: number): Promise<Buffer> {
  await using file = await openRegular(path);
  const { size } = await file.stat();
  if (size > most) throw tooLarge();
  try {
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Never through a link, and without waiting for what writes into a FIFO. */
async function openRegular(path: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw malformed(`${path}, which is no regular file`);
}

const badName = (path: string): string => `the name ${JSON.stringify(path.slice(0, 80))}`;

const unreadable = (path: string, cause: unknown): PackError =>
  new PackError('unreadable', `${path} cannot be read: ${(cause as Error).message}`, { cause });

const malformed = (what: string): PackError =>
  new PackError('malformed', `it has ${what}, as no pack may: get the pack again, or ask its vendor`);

const tooLarge = (cause?: unknown): PackError =>
  new PackError(
    'too-large',
    `it is larger than a pack may be (${LIMITS.archive / MIB} MiB packed, ${LIMITS.content / MIB} MiB unpacked): ask the vendor to split it`,
    { cause },
  );

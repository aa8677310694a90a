/**
 * The files of a pack, read whole into memory under bounds, so that nothing of it is on a disk before
 * everything in it is known to be right.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants as zlib, zstdCompress, zstdDecompress } from 'node:zlib';
import { PackError } from './error.ts';
import { isPackPath } from './manifest.ts';
import { readTar, writeTar } from './tar.ts';

/** By path within the pack. */
export type PackContent = ReadonlyMap<string, Buffer>;

const MIB = 1024 * 1024;
export const LIMITS = {
  archive: 128 * MIB,
  content: 256 * MIB,
  files: 20_002,
  entries: 50_000,
  depth: 16,
} as const;
const STRONG = 12;

/** A directory or a `.tar.zst`. Throws PackError: `not-found`, `unreadable`, `too-large`, `malformed`. */
export async function readContent(path: string): Promise<PackContent> {
  const facts = await lstat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw unreadable(path, cause);
    throw new PackError('not-found', `there is no pack at ${path}: check the path`, { cause });
  });
  if (facts.isSymbolicLink())
    throw new PackError('unreadable', `${path} is a symbolic link: name the pack itself`);
  return facts.isDirectory() ? readDirectory(path) : readArchive(await readBounded(path, LIMITS.archive));
}

export async function readArchive(archive: Buffer): Promise<PackContent> {
  const bytes = await promisify(zstdDecompress)(archive, {
    maxOutputLength: LIMITS.content,
    params: { [zlib.ZSTD_d_windowLogMax]: 27 },
  }).catch((cause: unknown) => {
    if ((cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(cause);
    throw new PackError('malformed', 'it is not a whole .tar.zst archive: get the pack again', { cause });
  });
  const content = new Map<string, Buffer>();
  for (const { path, bytes: file } of readTar(bytes)) {
    if (!isPackPath(path)) throw malformed(`the name ${JSON.stringify(path.slice(0, 80))}`);
    if (content.has(path)) throw malformed(`two entries of the name ${path}`);
    if (content.size >= LIMITS.files) throw malformed(`more than ${LIMITS.files} files`);
    content.set(path, file);
  }
  return content;
}

/** The same files always make the same archive. */
export function packArchive(content: PackContent): Promise<Buffer> {
  const sorted = [...content].sort(([a], [b]) => (a < b ? -1 : 1));
  return promisify(zstdCompress)(writeTar(sorted), {
    params: { [zlib.ZSTD_c_compressionLevel]: STRONG, [zlib.ZSTD_c_checksumFlag]: 1 },
  });
}

async function readDirectory(root: string): Promise<PackContent> {
  const content = new Map<string, Buffer>();
  let left: number = LIMITS.content;
  let entries = 0;
  const walk = async (below: string, depth: number): Promise<void> => {
    if (depth > LIMITS.depth) throw malformed(`directories nested deeper than ${LIMITS.depth}`);
    for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (++entries > LIMITS.entries) throw malformed(`more than ${LIMITS.entries} files and directories`);
      if (!isPackPath(path)) throw malformed(`the name ${JSON.stringify(path.slice(0, 80))}`);
      if (entry.isDirectory()) await walk(path, depth + 1);
      else if (!entry.isFile()) throw malformed(`${path}, which is no regular file`);
      else {
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
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile()) throw malformed(`${path}, which is no regular file`);
    if (facts.size > most) throw tooLarge();
    const bytes = Buffer.alloc(facts.size);
    const { bytesRead } = await handle.read(bytes, 0, facts.size, 0);
    return bytes.subarray(0, bytesRead);
  } catch (cause) {
    throw cause instanceof PackError ? cause : unreadable(path, cause);
  }
}

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

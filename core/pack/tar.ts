/**
 * Archives in POSIX ustar (IEEE Std 1003.1, "pax", ustar interchange format): for each file a header of 512
 * bytes (name at 0, mode at 100, size at 124 and mtime at 136 in octal, checksum at 148, type at 156, `ustar`
 * at 257, a prefix of the name at 345), then its bytes filled up to 512; two empty blocks end it.
 *
 * Only what a pack needs is read: regular files, and directories, which say nothing. Links, devices, sparse
 * files and the extensions of GNU and pax are refused rather than understood. GNU tar writes no extension for
 * short names; its magic is `ustar` and two spaces, and what it has at 345 is no prefix.
 */
import { PackError } from './error.ts';

const BLOCK = 512;
const NAME = 100;
const PREFIX = 155;

export interface TarFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/** An entry of an archive, before its bytes are taken. */
export interface TarEntry {
  readonly path: string;
  readonly size: number;
  readonly type: 'file' | 'directory';
}

/**
 * The files that `wants`, which is asked of every entry and may throw, as they come: what is not wanted is passed
 * over and never held. Throws PackError `malformed`, and as `chunks` does.
 */
export async function* readTar(
  chunks: AsyncIterable<Buffer>,
  wants: (entry: TarEntry) => boolean,
): AsyncGenerator<TarFile> {
  const source = new ByteSource(chunks);
  for (;;) {
    const header = await source.take(BLOCK);
    if (header.length < BLOCK) throw malformed('no end');
    if (isEmpty(header)) break;
    const entry = readHeader(header);
    if (entry.type === 'directory' && entry.size > 0) {
      throw malformed(`a directory with content, ${entry.path}`);
    }
    const padding = (BLOCK - (entry.size % BLOCK)) % BLOCK;
    if (wants(entry)) {
      const bytes = await source.take(entry.size);
      if (bytes.length < entry.size) throw malformed(`only a part of ${entry.path}`);
      yield { path: entry.path, bytes };
      await source.skip(padding);
    } else if (!(await source.skip(entry.size + padding))) {
      throw malformed(`only a part of ${entry.path}`);
    }
  }
  for (let rest = await source.some(); rest; rest = await source.some()) {
    if (!isEmpty(rest)) throw malformed('something after its end');
  }
}

/** Bytes of a stream by their number. */
class ByteSource {
  private readonly chunks: AsyncIterator<Buffer>;
  private chunk: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.chunks = chunks[Symbol.asyncIterator]();
  }

  /** So many bytes of their own, or fewer at the end. Only what has come is allocated, not what was promised. */
  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let left = count;
    while (left > 0 && (await this.fill())) {
      const part = this.chunk.subarray(0, left);
      parts.push(part);
      left -= part.length;
      this.chunk = this.chunk.subarray(part.length);
    }
    return Buffer.concat(parts);
  }

  /** False when there were fewer. */
  async skip(count: number): Promise<boolean> {
    let left = count;
    while (left > 0 && (await this.fill())) {
      const skipped = Math.min(left, this.chunk.length);
      left -= skipped;
      this.chunk = this.chunk.subarray(skipped);
    }
    return left === 0;
  }

  /** What comes next, or undefined at the end. */
  async some(): Promise<Buffer | undefined> {
    if (!(await this.fill())) return undefined;
    const { chunk } = this;
    this.chunk = Buffer.alloc(0);
    return chunk;
  }

  private async fill(): Promise<boolean> {
    while (this.chunk.length === 0) {
      const next = await this.chunks.next();
      if (next.done) return false;
      this.chunk = next.value;
    }
    return true;
  }
}

function readHeader(header: Buffer): TarEntry {
  if (octal(header, 148, 8) !== checksum(header)) throw malformed('a header with a wrong checksum');
  const magic = header.toString('latin1', 257, 265);
  if (magic !== POSIX && magic !== GNU) throw malformed('a header that is not ustar');
  const prefix = magic === POSIX ? string(header, 345, PREFIX) : '';
  const name = string(header, 0, NAME);
  const path = (prefix === '' ? name : `${prefix}/${name}`).replace(/^\.\//, '');
  const flag = header.toString('latin1', 156, 157);
  const type = TYPES[flag];
  if (type === undefined)
    throw EXTENSIONS.has(flag) ? extended() : malformed(`${JSON.stringify(path)}, which is no regular file`);
  return { path, size: octal(header, 124, 12), type };
}

const POSIX = 'ustar\x0000';
const GNU = 'ustar  \0';

/** Long names and attributes, as GNU (`L`, `K`) and pax (`x`, `g`) have them. */
const EXTENSIONS = new Set(['L', 'K', 'x', 'g']);
const TYPES: Readonly<Record<string, 'file' | 'directory' | undefined>> = {
  '0': 'file',
  '\0': 'file',
  '5': 'directory',
};

export function writeTar(files: readonly (readonly [string, Buffer])[]): Buffer {
  const parts = files.flatMap(([path, bytes]) => [
    header(path, bytes.length),
    bytes,
    Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(path: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const [prefix, name] = split(path);
  block.write(name, 0, NAME, 'latin1');
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('0', 156);
  block.write(POSIX, 257, 'latin1');
  block.write(prefix, 345, PREFIX, 'latin1');
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A long path is cut at a slash. */
function split(path: string): readonly [string, string] {
  if (path.length <= NAME) return ['', path];
  for (let at = path.indexOf('/'); at >= 0 && at <= PREFIX; at = path.indexOf('/', at + 1)) {
    if (path.length - at - 1 <= NAME) return [path.slice(0, at), path.slice(at + 1)];
  }
  throw new PackError('malformed', `the path ${path} is too long for an archive: shorten it`);
}

/** The sum of all bytes, those of the checksum itself counted as spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return sum;
}

function octal(block: Buffer, at: number, length: number): number {
  const text = block.toString('latin1', at, at + length);
  const digits = /^ *([0-7]+)[ \0]*$/.exec(text)?.[1];
  if (digits === undefined) throw malformed('a header with a malformed number');
  return Number.parseInt(digits, 8);
}

function string(block: Buffer, at: number, length: number): string {
  const bytes = block.subarray(at, at + length);
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? length : end);
}

/** What an archive ends with may be long: a loop, where a call for each byte would take seconds. */
function isEmpty(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

const extended = (): PackError =>
  new PackError(
    'malformed',
    'the archive has names or attributes as only GNU or pax tar writes them: make it with lazaret pack build, or with tar --format=ustar',
  );

const malformed = (what: string): PackError =>
  new PackError(
    'malformed',
    `the archive has ${what}: get the pack again, or have it built by lazaret pack build`,
  );

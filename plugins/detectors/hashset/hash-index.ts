/**
 * An index of hashes: one file, made by index-builder.ts, in which a hash is found with one or two reads.
 *
 *   notes      the hashes' names and lists (notes.ts)
 *   records    39 bytes for each hash (record.ts), in order
 *   fan-out    where the records begin of each value of a hash's first `bits` bits, and the end of the last:
 *              32-bit numbers in this machine's byte order
 *   contents   what it is an index of, in JSON (`Contents` below)
 *   trailer    8 bytes magic, 4 bytes length of the contents, 32 bytes SHA-256 of fan-out and contents
 *
 * Fan-out and contents are kept in memory: two MiB for 10^7 hashes. The rest is left to the page cache. Opening
 * checks these two by the trailer and does not read the rest: a file has its name only once it is whole and
 * synced, and `Contents.digest` is there for whoever doubts the disk.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { type DigestName, type Judgement, PluginError } from 'lazaret/plugin';
import { z } from 'zod';
import { LONGEST_NOTE, readNote } from './notes.ts';
import {
  ALGORITHMS,
  ANY_SIZE,
  compareKeys,
  type Reference,
  readReference,
  WIDTH,
  writeKey,
  writeSize,
} from './record.ts';

const MAGIC = Buffer.from('LZHASH01');
const TRAILER = 44;
const LARGEST_CONTENTS = 64 * 1024 * 1024;
export const MOST_BITS = 20;
/** Records that are read at once. */
const BLOCK = 128;

const contents = z.strictObject({
  /** What it was made from: the name that its file has. */
  key: z.string(),
  /** SHA-256 of notes, records and `lists` in JSON. */
  digest: z.string().min(1),
  notes: z.int().nonnegative(),
  count: z.int().nonnegative(),
  bits: z.int().min(1).max(MOST_BITS),
  algorithms: z.array(z.enum(ALGORITHMS)),
  lists: z.array(z.strictObject({ source: z.string(), judgement: z.enum(['malicious', 'suspicious']) })),
  problems: z.array(z.strictObject({ file: z.string(), line: z.int().exactOptional(), message: z.string() })),
});
export type Contents = z.output<typeof contents>;

export interface Match {
  /** Empty when the list has none. */
  readonly name: string;
  readonly source: string;
  readonly judgement: Judgement;
}

/** What stands behind the records. */
export function tailOf(starts: Uint32Array, about: Contents): Buffer {
  const json = Buffer.from(JSON.stringify(about));
  const fanOut = Buffer.from(starts.buffer, starts.byteOffset, starts.byteLength);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([fanOut, json, MAGIC, length, checksum(fanOut, json)]);
}

export class HashIndex {
  readonly contents: Contents;
  private file: number;
  private readonly starts: Uint32Array;
  private readonly wanted = Buffer.alloc(WIDTH);
  private readonly note = Buffer.alloc(LONGEST_NOTE);
  private readonly block = Buffer.alloc(BLOCK * WIDTH);
  /** The records that are in `block`. */
  private held = { from: 0, to: 0 };

  /** Takes the descriptor over. Throws when the file is no whole index of what the key stands for. */
  constructor(file: number, key: string) {
    const { size } = fstatSync(file);
    const trailer = read(file, Buffer.alloc(TRAILER), size - TRAILER);
    const length = trailer.readUInt32BE(8);
    if (!trailer.subarray(0, 8).equals(MAGIC) || length > LARGEST_CONTENTS) throw new Error('it is no index');
    const json = read(file, Buffer.alloc(length), size - TRAILER - length);
    this.contents = contents.parse(JSON.parse(json.toString()));
    const { notes, count, bits } = this.contents;
    const fanOut = Buffer.from(new ArrayBuffer(4 * (2 ** bits + 1)));
    read(file, fanOut, notes + count * WIDTH);
    if (!checksum(fanOut, json).equals(trailer.subarray(12))) throw new Error('it is damaged');
    if (this.contents.key !== key) throw new Error('it was made from other lists');
    this.starts = new Uint32Array(fanOut.buffer);
    this.file = file;
  }

  /**
   * The entries for such a content: the first that names its size, and the first that names none. Throws
   * PluginError `engine-failed` when the file cannot be read.
   */
  find(algorithm: DigestName, hash: string, size: number): Match[] {
    try {
      writeKey(this.wanted, 0, algorithm, hash);
      const ofAnySize = this.seek();
      if (size < ANY_SIZE) writeSize(this.wanted, 0, size);
      const ofItsSize = size < ANY_SIZE ? this.seek() : undefined;
      return [ofItsSize, ofAnySize].flatMap((reference) => (reference ? this.match(reference) : []));
    } catch (cause) {
      const message = `cannot read the index of hashes (${(cause as Error).message}): remove the files of its cache, and start again`;
      throw new PluginError('engine-failed', message, { cause });
    }
  }

  close(): void {
    if (this.file >= 0) closeSync(this.file);
    this.file = -1;
  }

  /** The record with the key that is in `wanted`. */
  private seek(): Reference | undefined {
    const { wanted, starts } = this;
    const prefix = wanted.readUInt32BE(0) >>> (32 - this.contents.bits);
    let from = starts[prefix] ?? 0;
    let to = starts[prefix + 1] ?? 0;
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      // Only lists made for it have so many hashes with the same beginning.
      if (to - from > BLOCK) this.hold(middle, middle + 1);
      else if (from < this.held.from || to > this.held.to) this.hold(from, to);
      const at = (middle - this.held.from) * WIDTH;
      const order = compareKeys(wanted, 0, this.block, at);
      if (order === 0) return readReference(this.block, at);
      if (order < 0) to = middle;
      else from = middle + 1;
    }
    return undefined;
  }

  private hold(from: number, to: number): void {
    this.held = { from: 0, to: 0 };
    const part = this.block.subarray(0, (to - from) * WIDTH);
    read(this.file, part, this.contents.notes + from * WIDTH);
    this.held = { from, to };
  }

  private match({ note, number }: Reference): Match {
    const part = this.note.subarray(0, Math.max(0, this.contents.notes - note));
    const { list, name } = readNote(read(this.file, part, note), number);
    const from = this.contents.lists[list];
    if (from === undefined) throw new Error('there is no list of that number');
    return { name, ...from };
  }
}

function read(file: number, into: Buffer, at: number): Buffer {
  if (readSync(file, into, 0, into.length, at) < into.length) throw new Error('it ends too early');
  return into;
}

function checksum(...parts: readonly Buffer[]): Buffer {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest();
}

/**
 * What the reader is at, noted in memory that the agent can look into: before each call that could wait for a
 * disk, a server or another process. A reader that never comes back has left word of where it is.
 *
 *   offset 0     u32  number of the job
 *   offset 4     u32  which item of the job: a file of a request, a process
 *   offset 8     u16  length of a path, and the path
 *   offset 4108  u32  counts up with each note
 *   offset 4112  u16  length of a name in that directory, and the name
 */
import { readSync, writeSync } from 'node:fs';

const HEAD_BYTES = 10;
const PATH_BYTES = 4096;
const TAIL_AT = 4108;
const TAIL_BYTES = 6;
const NAME_BYTES = 256;
const NOTE_BYTES = TAIL_AT + TAIL_BYTES + NAME_BYTES;

export interface Note {
  readonly count: number;
  readonly job: number;
  readonly item: number;
  readonly path: Buffer;
  /** What is looked at in the directory; empty for the directory itself. */
  readonly name: Buffer;
}

const NOTHING = Buffer.alloc(0);

/** The reader's side. */
export class NotePad {
  private readonly descriptor: number;
  private readonly head = Buffer.alloc(HEAD_BYTES + PATH_BYTES);
  private readonly tail = Buffer.alloc(TAIL_BYTES + NAME_BYTES);
  private count = 0;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /** From here on it is at this path, for this item of the job. */
  at(job: number, item: number, path: Uint8Array): void {
    const length = Math.min(path.length, PATH_BYTES);
    this.head.writeUInt32LE(job, 0);
    this.head.writeUInt32LE(item, 4);
    this.head.writeUInt16LE(length, 8);
    this.head.set(path.subarray(0, length), HEAD_BYTES);
    writeSync(this.descriptor, this.head, 0, HEAD_BYTES + length, 0);
    this.entry(NOTHING);
  }

  /** It is at this entry of the directory that was noted last; without a name, at the directory itself. */
  entry(name: Uint8Array = NOTHING): void {
    const length = Math.min(name.length, NAME_BYTES);
    this.count = (this.count + 1) >>> 0;
    this.tail.writeUInt32LE(this.count, 0);
    this.tail.writeUInt16LE(length, 4);
    this.tail.set(name.subarray(0, length), TAIL_BYTES);
    writeSync(this.descriptor, this.tail, 0, TAIL_BYTES + length, TAIL_AT);
  }
}

/** What was noted last. Reads memory alone. */
export function readNote(descriptor: number): Note {
  const bytes = Buffer.alloc(NOTE_BYTES);
  readSync(descriptor, bytes, 0, NOTE_BYTES, 0);
  const name = TAIL_AT + TAIL_BYTES;
  return {
    count: bytes.readUInt32LE(TAIL_AT),
    job: bytes.readUInt32LE(0),
    item: bytes.readUInt32LE(4),
    path: bytes.subarray(HEAD_BYTES, HEAD_BYTES + bytes.readUInt16LE(8)),
    name: bytes.subarray(name, name + bytes.readUInt16LE(TAIL_AT + 4)),
  };
}

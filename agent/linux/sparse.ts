/**
 * Writing that leaves holes: blocks of nothing but zeros are not written, so that a file which was 4 KiB on disk and
 * 100 MiB long comes back so. What is read is the same.
 */
import { ftruncate, write } from 'node:fs';
import { promisify } from 'node:util';

const writeAsync = promisify(write);
const truncateAsync = promisify(ftruncate);
/** What file systems allocate, as a rule; with larger blocks there are fewer holes. */
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Fills an empty file from its start. The descriptor is the caller's. */
export class SparseWriter {
  private readonly descriptor: number;
  private position = 0;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /** The bytes may be used again when it has resolved. */
  async write(bytes: Uint8Array): Promise<void> {
    const start = this.position;
    for (const [from, to] of runsOfData(bytes, start)) {
      for (let at = from; at < to; ) {
        at += (await writeAsync(this.descriptor, bytes, at, to - at, start + at)).bytesWritten;
      }
    }
    this.position += bytes.length;
  }

  /** Gives the file its length, also where it ends in a hole. */
  async end(): Promise<void> {
    await truncateAsync(this.descriptor, this.position);
  }
}

/** Where in `bytes`, which are to stand at `position`, there are blocks with something in them. */
export function* runsOfData(bytes: Uint8Array, position: number): Generator<[from: number, to: number]> {
  let begin: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + BLOCK_BYTES - ((position + at) % BLOCK_BYTES), bytes.length);
    const isHole = ZEROS.compare(bytes, at, end, 0, end - at) === 0;
    if (!isHole) begin ??= at;
    else if (begin !== undefined) {
      yield [begin, at];
      begin = undefined;
    }
    at = end;
  }
  if (begin !== undefined) yield [begin, bytes.length];
}

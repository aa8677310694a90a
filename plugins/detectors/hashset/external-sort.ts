/** Sorts records (record.ts) of any number in bounded memory: runs of them are sorted and written, then merged. */
import { readSync, writeSync } from 'node:fs';
import { compareKeys, WIDTH } from './record.ts';

const RUN = 2 ** 16;
const READ = 800;
const GIVEN = 16_000;

export class ExternalSort {
  private readonly scratch: number;
  private readonly runs: Run[] = [];
  private readonly run: Buffer;
  private readonly runLength: number;
  private filled = 0;
  private written = 0;

  /** `scratch`: the descriptor of an empty file that may be overwritten. `runLength` records are held in memory. */
  constructor(scratch: number, runLength = RUN) {
    this.scratch = scratch;
    this.runLength = runLength;
    this.run = Buffer.alloc(runLength * WIDTH);
  }

  get count(): number {
    return this.written + this.filled;
  }

  /** Has `write` put one record into a buffer. */
  add(write: (into: Buffer, at: number) => void): void {
    if (this.filled === this.runLength) this.endRun();
    write(this.run, this.filled * WIDTH);
    this.filled += 1;
  }

  /** All records in order, many at a time; of equal keys, what was added first comes first. A buffer is good until the next one. */
  *sorted(): Generator<Buffer> {
    this.endRun();
    const merge = new Merge(this.runs);
    const batch = Buffer.alloc(GIVEN * WIDTH);
    for (let length = merge.fill(batch); length > 0; length = merge.fill(batch)) {
      yield batch.subarray(0, length);
    }
  }

  private endRun(): void {
    const order = sortRun(this.run, this.filled);
    const bytes = Buffer.alloc(this.filled * WIDTH);
    for (const [place, index] of order.entries()) {
      this.run.copy(bytes, place * WIDTH, index * WIDTH, (index + 1) * WIDTH);
    }
    const begin = this.written * WIDTH;
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.scratch, bytes, done, bytes.length - done, begin + done);
    }
    if (this.filled > 0) this.runs.push(new Run(this.scratch, this.runs.length, begin, begin + bytes.length));
    this.written += this.filled;
    this.filled = 0;
  }
}

/**
 * The places of records in their order. Numbers sort many times faster than bytes: the first four bytes of each
 * above its place make one of 64 bits. What is equal in those four is put in order after that.
 */
function sortRun(run: Buffer, count: number): Uint32Array {
  const numbers = new BigUint64Array(count);
  const halves = new DataView(numbers.buffer);
  for (let index = 0; index < count; index += 1) {
    halves.setUint32(index * 8, index, true);
    halves.setUint32(index * 8 + 4, run.readUInt32BE(index * WIDTH), true);
  }
  numbers.sort();
  const order = new Uint32Array(count);
  for (let place = 0; place < count; place += 1) order[place] = halves.getUint32(place * 8, true);
  const head = (place: number): number => halves.getUint32(place * 8 + 4, true);
  for (let from = 0, to = 0; from < count; from = to) {
    for (to = from + 1; to < count && head(to) === head(from); ) to += 1;
    if (to - from > 1) {
      order.subarray(from, to).sort((a, b) => compareKeys(run, a * WIDTH, run, b * WIDTH) || a - b);
    }
  }
  return order;
}

/** A sorted part of the scratch file, read piece by piece. */
class Run {
  readonly number: number;
  readonly piece = Buffer.alloc(READ * WIDTH);
  at = 0;
  private readonly scratch: number;
  private length = 0;
  private next: number;
  private readonly end: number;

  constructor(scratch: number, number: number, begin: number, end: number) {
    this.scratch = scratch;
    this.number = number;
    this.next = begin;
    this.end = end;
  }

  /** Goes to the next record, at first to the first; false when there is none. */
  advance(): boolean {
    this.at += WIDTH;
    if (this.at >= this.length) {
      this.at = 0;
      this.length = Math.min(this.piece.length, this.end - this.next);
      if (this.length === 0) return false;
      if (readSync(this.scratch, this.piece, 0, this.length, this.next) < this.length) {
        throw new Error('the scratch file is shorter than what was written to it');
      }
      this.next += this.length;
    }
    return true;
  }

  precedes(other: Run): boolean {
    return (compareKeys(this.piece, this.at, other.piece, other.at) || this.number - other.number) < 0;
  }
}

/** A binary heap of runs: the one whose record comes first is on top. */
class Merge {
  private readonly heap: Run[];

  constructor(runs: readonly Run[]) {
    this.heap = runs.filter((run) => run.advance());
    for (let index = this.heap.length >> 1; index >= 0; index -= 1) this.sink(index);
  }

  /** Gives the bytes that were put into the batch. */
  fill(batch: Buffer): number {
    let length = 0;
    for (let top = this.heap[0]; top !== undefined && length < batch.length; top = this.heap[0]) {
      top.piece.copy(batch, length, top.at, top.at + WIDTH);
      length += WIDTH;
      if (!top.advance()) {
        const last = this.heap.pop() as Run;
        if (last !== top) this.heap[0] = last;
      }
      this.sink(0);
    }
    return length;
  }

  private sink(from: number): void {
    const { heap } = this;
    const moved = heap[from];
    if (moved === undefined) return;
    let index = from;
    for (;;) {
      let below = 2 * index + 1;
      const left = heap[below];
      const right = heap[below + 1];
      if (left === undefined) break;
      const least = right?.precedes(left) ? right : left;
      if (least === right) below += 1;
      if (!least.precedes(moved)) break;
      heap[index] = least;
      index = below;
    }
    heap[index] = moved;
  }
}

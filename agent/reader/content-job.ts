/**
 * Contents as records (`protocol/records.ts`), on the hot path of a scan: a header is written into a large chunk and
 * the file read straight behind it.
 */
import { closeSync, readSync } from 'node:fs';
import { encodeRecord, LIMITS, RECORD, RECORD_HEADER_BYTES, type RecordKind } from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { openUnavoided, UnreadableFile, type Wanted, wantedOf } from '../handlers/wanted.ts';
import { errnoOf } from '../linux/error.ts';
import type { OpenedFile } from '../linux/root.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';
import type { ContentState, Job } from './messages.ts';

const CHUNK_BYTES = 256 * 1024;
/** With less room than this the chunk is sent: its rest would only make for small reads. */
const LEAST_ROOM = 8 * 1024;

/** One step works at a time, and its chunk is sent before the next. */
let chunk: Buffer | undefined;

export class ContentJob implements JobRun {
  private readonly parts: JobParts;
  private readonly wanted: readonly Wanted[];
  private readonly maxFileBytes: number;
  private readonly chunk: Buffer;
  private used = 0;
  private index: number;
  private current: { readonly file: OpenedFile; readonly size: number; at: number } | undefined;
  private resumed: ContentState['open'];

  constructor({ request, state }: Extract<Job, { kind: 'content' }>, parts: JobParts) {
    this.parts = parts;
    this.wanted = request.files.map(wantedOf);
    this.maxFileBytes = request.maxFileBytes;
    chunk ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.chunk = chunk;
    this.index = state.index;
    this.resumed = state.open;
  }

  step(until: number): Step {
    let read = 0;
    this.used = 0;
    while (this.index < this.wanted.length && this.chunk.length - this.used >= LEAST_ROOM) {
      if (this.current) read += this.copy(this.current);
      else if (!this.open()) break;
      if (performance.now() > until) break;
    }
    const isDone = this.index === this.wanted.length;
    return { payload: this.chunk.subarray(0, this.used), read, isDone, progress: this.progress() };
  }

  end(): void {
    if (this.current) closeSync(this.current.file.descriptor);
    this.current = undefined;
  }

  private progress(): ContentState {
    const { index, current } = this;
    if (!current) return { index };
    const { dev, ino } = current.file.status;
    return { index, open: { dev, ino, size: current.size, at: current.at } };
  }

  /** False for one that is unresponsive, which is to be told before another call hangs. */
  private open(): boolean {
    const { index, resumed } = this;
    this.resumed = undefined;
    try {
      const file = openUnavoided(this.wanted[index] as Wanted, index, this.maxFileBytes, this.parts);
      const { size } = file.status;
      if (resumed) {
        const isSame = file.status.dev === resumed.dev && file.status.ino === resumed.ino;
        this.current = { file, size: resumed.size, at: resumed.at };
        if (!isSame) this.fail(new UnreadableFile('vanished', 'another file took its place'));
        return true;
      }
      this.current = { file, size, at: 0 };
      this.put(RECORD.open, JSON.stringify(file.status.facts()));
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      this.fail(error);
      return error.failure.reason !== 'unresponsive';
    }
    return true;
  }

  /**
   * Reads as many bytes as there is room for, of a file that should have as many more as its size at opening says. One
   * more than that is asked for, so that the end of the file shows in the same read; where it comes, nothing is sent.
   */
  private copy(current: NonNullable<typeof this.current>): number {
    const left = current.size - current.at;
    const start = this.used + RECORD_HEADER_BYTES;
    const asked = Math.min(left + 1, LIMITS.recordBytes, this.chunk.length - start);
    this.parts.pad.entry();
    let read: number;
    try {
      read = readSync(current.file.descriptor, this.chunk, start, asked, current.at);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.fail(new UnreadableFile('io-error', messageOf(error)));
      return 0;
    }
    if (read > left) this.fail(new UnreadableFile('grew'));
    else {
      if (read > 0) this.header(RECORD.data, read);
      current.at += read;
      if (read === left && read < asked) this.finish(RECORD.end, '');
      else if (read === 0) this.fail(new UnreadableFile('shrank'));
    }
    return read;
  }

  private header(kind: RecordKind, length: number): void {
    this.chunk.writeUInt8(kind, this.used);
    this.chunk.writeUInt32BE(this.index, this.used + 1);
    this.chunk.writeUInt32BE(length, this.used + 5);
    this.used += RECORD_HEADER_BYTES + length;
  }

  private put(kind: RecordKind, payload: string): void {
    this.used += encodeRecord(kind, this.index, Buffer.from(payload)).copy(this.chunk, this.used);
  }

  private fail({ failure }: UnreadableFile): void {
    this.finish(RECORD.fail, JSON.stringify(failure));
  }

  /** The record that ends this file; the next one is due. */
  private finish(kind: RecordKind, payload: string): void {
    this.put(kind, payload);
    this.end();
    this.index++;
  }
}

/**
 * Puts records together in place, on the hot path of a scan: a header is written into a large chunk and the
 * file is read straight behind it, so that a byte is copied once before it is encrypted, and many small files
 * leave in one write. A few chunks go round; when all of them are on their way, the writer waits.
 */
import { read, readSync } from 'node:fs';
import {
  type ContentFault,
  encodeRecord,
  LIMITS,
  RECORD,
  RECORD_HEADER_BYTES,
  type RecordKind,
} from '../../protocol/index.ts';
import { errnoOf } from '../linux/error.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';

const CHUNK_BYTES = 256 * 1024;
const CHUNKS = 3;
/** A chunk with less room than this is sent: its rest would only make for small reads. */
const LEAST_ROOM = 8 * 1024;
/** Reads up to this size are made on this thread: a trip to the thread pool would cost more than they do. */
const SMALL_READ = 64 * 1024;
const LONGEST_DETAIL = 256;

interface Copied {
  readonly bytes: number;
  /** Fewer came than were asked for: the file ends here. */
  readonly isShort: boolean;
}

export class RecordWriter {
  private readonly exchange: Exchange;
  private readonly pace: Pace;
  private readonly free: Buffer[] = [];
  private allocated = 0;
  private chunk: Buffer | undefined;
  private used = 0;
  private wake: (() => void) | undefined;

  constructor(exchange: Exchange, pace: Pace) {
    this.exchange = exchange;
    this.pace = pace;
    exchange.signal.addEventListener('abort', () => this.wake?.());
  }

  open(index: number, facts: string): Promise<void> {
    return this.put(RECORD.open, index, facts);
  }

  fail(index: number, reason: ContentFault, detail?: string): Promise<void> {
    const failure = { reason, ...(detail && { detail: detail.slice(0, LONGEST_DETAIL) }) };
    return this.put(RECORD.fail, index, JSON.stringify(failure));
  }

  finish(index: number): Promise<void> {
    return this.put(RECORD.end, index, '');
  }

  /**
   * Sends the next bytes of a file that should have `left` more. It asks for one more than that, so that the
   * end of the file shows in the same read; where that one comes, nothing is sent. A failed read is returned.
   */
  async copy(index: number, descriptor: number, left: number): Promise<Copied | Error> {
    const chunk = await this.room(RECORD_HEADER_BYTES + Math.min(left + 1, LEAST_ROOM));
    const start = this.used + RECORD_HEADER_BYTES;
    const asked = Math.min(left + 1, LIMITS.recordBytes, chunk.length - start);
    let bytes: number;
    try {
      bytes = await readInto(descriptor, chunk, start, asked);
    } catch (error) {
      if (error instanceof Error && errnoOf(error)) return error;
      throw error;
    }
    if (bytes > 0 && bytes <= left) {
      writeHeader(chunk, this.used, RECORD.data, index, bytes);
      this.used = start + bytes;
    }
    const pause = this.pace.next(this.exchange.signal, bytes);
    if (pause) await this.rest(pause);
    return { bytes, isShort: bytes < asked };
  }

  /** What has gathered goes before: the host awaits a sign of life. */
  private async rest(pause: Promise<void>): Promise<void> {
    await Promise.all([this.flush(), pause]);
  }

  /** Sends what has gathered. Rejects when nobody reads any more. */
  async flush(): Promise<void> {
    this.exchange.signal.throwIfAborted();
    const { chunk } = this;
    if (!chunk || this.used === 0) return;
    this.exchange.stream.write(chunk.subarray(0, this.used), () => {
      this.free.push(chunk);
      this.wake?.();
    });
    this.chunk = undefined;
    this.used = 0;
  }

  private async put(kind: RecordKind, index: number, payload: string): Promise<void> {
    const record = encodeRecord(kind, index, Buffer.from(payload, 'utf8'));
    const chunk = await this.room(record.length);
    this.used += record.copy(chunk, this.used);
  }

  /** A chunk with at least `bytes` of room. */
  private async room(bytes: number): Promise<Buffer> {
    if (this.chunk && this.chunk.length - this.used >= bytes) return this.chunk;
    await this.flush();
    this.chunk = this.free.pop() ?? this.allocate() ?? (await this.nextFree());
    return this.chunk;
  }

  private allocate(): Buffer | undefined {
    if (this.allocated === CHUNKS) return undefined;
    this.allocated++;
    return Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }

  private async nextFree(): Promise<Buffer> {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wake = resolve;
      await promise;
      this.exchange.signal.throwIfAborted();
      const chunk = this.free.pop();
      if (chunk) return chunk;
    }
  }
}

function writeHeader(chunk: Buffer, at: number, kind: RecordKind, index: number, length: number): void {
  chunk.writeUInt8(kind, at);
  chunk.writeUInt32BE(index, at + 1);
  chunk.writeUInt32BE(length, at + 5);
}

function readInto(descriptor: number, chunk: Buffer, at: number, length: number): number | Promise<number> {
  if (length <= SMALL_READ) return readSync(descriptor, chunk, at, length, null);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  read(descriptor, chunk, at, length, null, (error, bytes) => (error ? reject(error) : resolve(bytes)));
  return promise;
}

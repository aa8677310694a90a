/**
 * Content records: how many files travel in the body of one HTTP/2 response.
 *
 *   offset 0  u8   kind: 1 OPEN, 2 DATA, 3 END, 4 FAIL
 *   offset 1  u32  index of the file in the request, big endian
 *   offset 5  u32  length of the payload, at most 256 KiB, big endian
 *   offset 9       payload
 *
 *   OPEN   payload: JSON, the file's facts at the moment it was opened (FileFacts)
 *   DATA   payload: the next bytes of the file
 *   END    payload: empty; all bytes up to end of file, or up to the size in OPEN, were sent
 *   FAIL   payload: JSON {"reason": …}; the file ends here, what was sent of it is to be dropped
 *
 * The files of a request come one after another in its order: OPEN DATA* (END | FAIL), or FAIL alone. Each
 * index comes exactly once. The format is our own: a request per file costs more than a small file, and tar
 * has neither failures nor a place for what was opened.
 */
import { ProtocolError } from './error.ts';
import { LIMITS } from './limits.ts';

export const RECORD = { open: 1, data: 2, end: 3, fail: 4 } as const;
export type RecordKind = (typeof RECORD)[keyof typeof RECORD];
export const RECORD_HEADER_BYTES = 9;
const EMPTY = Buffer.alloc(0);

export interface ContentRecord {
  readonly kind: RecordKind;
  readonly index: number;
  /** A view into a buffer that will be used again: not to be kept past the next push. */
  readonly payload: Buffer;
}

export function encodeRecordHeader(kind: RecordKind, index: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(index, 1);
  header.writeUInt32BE(length, 5);
  return header;
}

export function encodeRecord(kind: RecordKind, index: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([encodeRecordHeader(kind, index, payload.length), payload]);
}

/** Takes records out of a byte stream, however it is cut. Holds at most one unfinished record. */
export class RecordSplitter {
  /** Where a record that comes in several chunks is put together; one buffer, for it is most of the traffic. */
  private assembly: Buffer = EMPTY;
  private assembled = 0;
  /** The beginning of a record, where the last chunk ended. */
  private rest: Buffer = EMPTY;

  *push(chunk: Buffer): Generator<ContentRecord> {
    let at = 0;
    if (this.rest.length > 0) this.append(this.rest, 0, this.rest.length);
    this.rest = EMPTY;
    while (this.assembled > 0) {
      const record = readRecord(this.assembly.subarray(0, this.assembled));
      if (typeof record !== 'number') {
        this.assembled = 0;
        yield record;
      } else if (at < chunk.length) {
        at = this.append(chunk, at, record - this.assembled);
      } else return;
    }
    let rest = chunk.subarray(at);
    for (let record = readRecord(rest); typeof record !== 'number'; record = readRecord(rest)) {
      rest = rest.subarray(RECORD_HEADER_BYTES + record.payload.length);
      yield record;
    }
    this.rest = rest;
  }

  /** Call at the end of the stream: throws `malformed-record` when a record is unfinished. */
  end(): void {
    if (this.assembled > 0 || this.rest.length > 0) {
      throw new ProtocolError('malformed-record', 'the stream ends within a record');
    }
  }

  /** Puts up to `wanted` bytes of `chunk` behind the unfinished record; returns where it stopped. */
  private append(chunk: Buffer, from: number, wanted: number): number {
    if (this.assembly.length === 0)
      this.assembly = Buffer.allocUnsafe(RECORD_HEADER_BYTES + LIMITS.recordBytes);
    const copied = chunk.copy(this.assembly, this.assembled, from, from + wanted);
    this.assembled += copied;
    return from + copied;
  }
}

/** The first record of `bytes`, or how many bytes are needed before one can be read. */
function readRecord(bytes: Buffer): ContentRecord | number {
  if (bytes.length < RECORD_HEADER_BYTES) return RECORD_HEADER_BYTES;
  const kind = bytes.readUInt8(0);
  const length = bytes.readUInt32BE(5);
  if (kind < RECORD.open || kind > RECORD.fail) {
    throw new ProtocolError('malformed-record', `a record has the unknown kind ${kind}`);
  }
  if (length > LIMITS.recordBytes) {
    throw new ProtocolError('message-too-large', `a record promises ${length} bytes, more than allowed`);
  }
  const end = RECORD_HEADER_BYTES + length;
  if (bytes.length < end) return end;
  return {
    kind: kind as RecordKind,
    index: bytes.readUInt32BE(1),
    payload: bytes.subarray(RECORD_HEADER_BYTES, end),
  };
}

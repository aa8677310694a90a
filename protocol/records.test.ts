import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutAt, cuts } from '../test/cutting.ts';
import { ProtocolError } from './error.ts';
import { LIMITS } from './limits.ts';
import { encodeRecord, encodeRecordHeader, RECORD, type RecordKind, RecordSplitter } from './records.ts';

interface Plain {
  kind: RecordKind;
  index: number;
  payload: string;
}

/** Payloads are copied at once: they do not outlive the next push. */
function split(chunks: readonly Buffer[]): Plain[] {
  const splitter = new RecordSplitter();
  const records: Plain[] = [];
  for (const chunk of chunks) {
    for (const { kind, index, payload } of splitter.push(chunk)) {
      records.push({ kind, index, payload: payload.toString('hex') });
    }
  }
  splitter.end();
  return records;
}

const record = fc.record({
  kind: fc.constantFrom<RecordKind>(1, 2, 3, 4),
  index: fc.nat(0xffff_ffff),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('hex')),
});
const encode = (records: readonly Plain[]): Buffer =>
  Buffer.concat(
    records.map(({ kind, index, payload }) => encodeRecord(kind, index, Buffer.from(payload, 'hex'))),
  );

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'no error';
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error);
  }
};

describe('records', () => {
  it('are the same however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), cuts, (records, at) => {
        expect(split(cutAt(encode(records), at))).toEqual(records);
      }),
    );
  });

  it('are the same byte by byte, also at the largest size', () => {
    const records = [
      { kind: RECORD.open, index: 0, payload: '7b7d' },
      { kind: RECORD.end, index: 0, payload: '' },
    ];
    expect(split(Array.from(encode(records), (byte) => Buffer.from([byte])))).toEqual(records);
    const large = { kind: RECORD.data, index: 1, payload: 'ab'.repeat(LIMITS.recordBytes) };
    const bytes = encode([...records, large, ...records]);
    const pieces = Array.from({ length: Math.ceil(bytes.length / 16_375) }, (_, at) =>
      bytes.subarray(at * 16_375, (at + 1) * 16_375),
    );
    expect(split(pieces)).toEqual([...records, large, ...records]);
  });

  it('of unknown kinds are refused as soon as their header is there', () => {
    for (const kind of [0, 5, 255]) {
      const header = encodeRecordHeader(kind as RecordKind, 0, 0);
      expect(codeOf(() => split([header]))).toBe('malformed-record');
    }
  });

  it('over the limit are refused by their header alone', () => {
    for (const length of [LIMITS.recordBytes + 1, 2 ** 31, 2 ** 32 - 1]) {
      const header = encodeRecordHeader(RECORD.data, 0, length);
      expect(codeOf(() => split([header]))).toBe('message-too-large');
    }
  });

  it('that are cut short are refused at the end', () => {
    fc.assert(
      fc.property(record, fc.nat(), (one, seed) => {
        const bytes = encode([one]);
        const length = 1 + (seed % (bytes.length - 1));
        expect(codeOf(() => split([bytes.subarray(0, length)]))).toBe('malformed-record');
      }),
    );
    expect(codeOf(() => split([]))).toBe('no error');
  });

  it('of noise never make anything but records or a ProtocolError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(['no error', 'malformed-record', 'message-too-large']).toContain(
          codeOf(() => split([Buffer.from(noise)])),
        );
      }),
    );
  });
});

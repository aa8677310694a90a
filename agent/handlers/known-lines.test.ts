import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS, LINE_DIGEST_BYTES, ProtocolError } from '../../protocol/index.ts';
import { KnownLines, LineFilter } from './known-lines.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const digest = fc.uint8Array({ minLength: LINE_DIGEST_BYTES, maxLength: LINE_DIGEST_BYTES });

describe('known lines', () => {
  it('are a set, whatever digests a host makes up', () => {
    fc.assert(
      fc.property(fc.array(digest), fc.array(digest), (told, others) => {
        const known = new KnownLines(Buffer.concat(told));
        const set = new Set(told.map((bytes) => Buffer.from(bytes).toString('hex')));
        for (const bytes of [...told, ...others]) {
          const own = Buffer.from(bytes);
          expect(known.has(own)).toBe(set.has(own.toString('hex')));
        }
      }),
    );
  });

  it('are found when all of them begin alike', () => {
    const alike = Array.from({ length: 500 }, () => Buffer.concat([Buffer.alloc(4, 7), randomBytes(12)]));
    const known = new KnownLines(Buffer.concat(alike));
    expect(alike.every((bytes) => known.has(bytes))).toBe(true);
    expect(known.has(Buffer.concat([Buffer.alloc(4, 7), Buffer.alloc(12)]))).toBe(false);
  });

  it('are refused when one of them is cut', () => {
    expect(() => new KnownLines(Buffer.alloc(LINE_DIGEST_BYTES + 1))).toThrow(ProtocolError);
  });
});

describe('a filter', () => {
  it('passes all lines on when none is known', () => {
    const filter = new LineFilter(new KnownLines(Buffer.alloc(0)));
    expect(filter.pass('{"type":"directory"}\n')).toBe('{"type":"directory"}\n');
    expect(filter.rest()).toBe('');
  });

  it('leaves faults alone, and puts no more digests into a line than it may hold', () => {
    const line = '{"type":"directory","path":"/"}\n';
    const known = new KnownLines(Buffer.from(sha256(line.trimEnd()), 'hex').subarray(0, LINE_DIGEST_BYTES));
    const filter = new LineFilter(known);
    expect(filter.pass('{"type":"fault"}\n')).toBe('{"type":"fault"}\n');
    const passed = Array.from({ length: LIMITS.inventoryLineDigests + 1 }, () => filter.pass(line));
    const written = passed.filter(Boolean).map((text) => JSON.parse(text).digests.length);
    expect(written).toEqual([LIMITS.inventoryLineDigests]);
    const end = filter.pass('{"type":"end"}\n').split('\n');
    expect(end.map((text) => text && JSON.parse(text).type)).toEqual(['known', 'end', '']);
  });
});

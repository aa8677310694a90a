import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MOST_COUNTED } from './count.ts';
import { FileFacts } from './messages.ts';
import { fileSize, fileTime, sizeOnWire, uint32, uint64 } from './numbers.ts';
import { FileState } from './openc2.ts';

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64 = { min: 0n, max: 2n ** 64n - 1n };
const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('a size', () => {
  it.each([
    [0n, 0],
    [2n ** 53n - 2n, 2 ** 53 - 2],
    [2n ** 53n - 1n, MOST_COUNTED],
    [2n ** 53n, MOST_COUNTED],
    [2n ** 63n - 1n, MOST_COUNTED],
    [2n ** 64n - 1n, MOST_COUNTED],
  ])('of %d bytes is read as %d', (size, read) => {
    expect(fileSize.parse(throughJson(sizeOnWire(size)))).toBe(read);
    expect(fileSize.parse(String(size))).toBe(read);
  });

  it('is what was sent, or saturated', () => {
    fc.assert(
      fc.property(fc.bigInt(UINT64), (size) => {
        const exact = size <= BigInt(MOST_COUNTED) ? Number(size) : MOST_COUNTED;
        expect(fileSize.parse(throughJson(sizeOnWire(size)))).toBe(exact);
      }),
    );
  });

  it.each([-1, 1.5, 2 ** 53, 2 ** 60, Number.NaN, null, '', '-1', '1e9', ' 1', '01', '1'.repeat(21), true])(
    'is not %j',
    (untrusted) => expect(fileSize.safeParse(untrusted).success).toBe(false),
  );
});

describe('a time', () => {
  it('has all 64 bits of its seconds', () => {
    fc.assert(
      fc.property(fc.bigInt(INT64), fc.nat({ max: 999_999_999 }), (seconds, nanoseconds) => {
        const time = `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
        expect(fileTime.parse(time)).toBe(time);
      }),
    );
  });

  it.each(['', '1', '1.5', '1.0000000000', '--1.000000000', '1e9.000000000', `${'9'.repeat(20)}.000000000`])(
    'is not %j',
    (untrusted) => expect(fileTime.safeParse(untrusted).success).toBe(false),
  );
});

it('inodes, devices, owners, modes and links have all of their bits, in facts as in state', () => {
  const bits32 = fc.nat({ max: 0xffff_ffff });
  const time = fc.bigInt(INT64).map((seconds) => `${seconds}.000000000`);
  const state = fc.record({ mode: bits32, uid: bits32, gid: bits32, atime: time, mtime: time });
  const facts = fc.record({
    ...{ dev: fc.bigInt(UINT64).map(String), ino: fc.bigInt(UINT64).map(String), size: fc.nat() },
    ...{ mtime: time, ctime: time, mode: bits32, uid: bits32, gid: bits32, links: bits32 },
  });
  fc.assert(
    fc.property(facts, state, (one, other) => {
      expect(FileFacts.parse(throughJson(one))).toEqual(one);
      expect(FileState.parse(throughJson({ ...other, xattrs: [] }))).toEqual({ ...other, xattrs: [] });
    }),
  );
  for (const untrusted of [-1, 2 ** 32, 0.5]) expect(uint32.safeParse(untrusted).success).toBe(false);
  for (const untrusted of ['-1', '01', 1]) expect(uint64.safeParse(untrusted).success).toBe(false);
});

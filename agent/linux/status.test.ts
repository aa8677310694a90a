import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileEntry, FileFacts, MOST_COUNTED } from '../../protocol/index.ts';
import { FileStatus, unsigned } from './status.ts';

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64 = { min: 0n, max: 2n ** 64n - 1n };

/** A status as the kernel lays it out (struct statx). */
function statusOf(facts: {
  readonly ino: bigint;
  readonly size: bigint;
  readonly seconds: bigint;
  readonly nanoseconds: number;
  readonly owner: number;
}): FileStatus {
  const status = new FileStatus();
  const { bytes } = status as unknown as { bytes: Buffer };
  bytes.fill(0);
  bytes.writeUInt32LE(facts.owner, 20);
  bytes.writeUInt32LE(facts.owner, 24);
  bytes.writeUInt16LE(facts.owner & 0xffff, 28);
  bytes.writeBigUInt64LE(facts.ino, 32);
  bytes.writeBigUInt64LE(facts.size, 40);
  for (const at of [64, 96, 112]) {
    bytes.writeBigInt64LE(facts.seconds, at);
    bytes.writeUInt32LE(facts.nanoseconds, at + 8);
  }
  bytes.writeUInt32LE(0xffff_ffff, 136);
  bytes.writeUInt32LE(0xffff_ffff, 140);
  return status;
}

describe('a status', () => {
  it('is told whole, whatever its 64 bits are, in a form that the host reads', () => {
    const given = fc.record({
      ino: fc.bigInt(UINT64),
      size: fc.oneof(fc.bigInt(UINT64), fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n })),
      seconds: fc.oneof(fc.bigInt(INT64), fc.bigInt({ min: -4n, max: 4n })),
      nanoseconds: fc.nat({ max: 0xffff_ffff }),
      owner: fc.nat({ max: 0xffff_ffff }),
    });
    fc.assert(
      fc.property(given, (facts) => {
        const status = statusOf(facts);
        const sent = JSON.parse(JSON.stringify(status.facts()));
        const nanoseconds = String(Math.min(facts.nanoseconds, 999_999_999)).padStart(9, '0');
        const time = `${facts.seconds}.${nanoseconds}`;
        expect(String(sent.size)).toBe(String(facts.size));
        expect(sent).toMatchObject({ ino: String(facts.ino), mtime: time, ctime: time, uid: facts.owner });
        const size = facts.size <= BigInt(MOST_COUNTED) ? Number(facts.size) : MOST_COUNTED;
        expect(FileFacts.parse(sent)).toEqual({ ...sent, size });
        expect(status.size).toBe(size);
        const entry = ['x', sent.ino, sent.size, time, time, sent.mode, sent.uid, sent.gid, sent.links];
        expect(FileEntry.parse(entry)[2]).toBe(size);
      }),
    );
  });

  it('has the device number of stat(2) also where it is all ones', () => {
    expect(statusOf({ ino: 0n, size: 0n, seconds: 0n, nanoseconds: 0, owner: 0 }).dev).toBe(
      String(2n ** 64n - 1n),
    );
  });
});

it('a number that node:fs gave with a sign has none', () => {
  expect(unsigned(-1n)).toBe('18446744073709551615');
  expect(unsigned(-(2n ** 63n))).toBe('9223372036854775808');
  expect(unsigned(7n)).toBe('7');
});

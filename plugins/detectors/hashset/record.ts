/**
 * What the index holds of one listed hash, in 39 bytes:
 *
 *   24   the hash: MD5 and SHA-1 filled up with zeros, of a SHA-256 the first 192 bits
 *    1   which of the three it is
 *    5   the size that the content must have, or `ANY_SIZE`
 *    5   where its note begins in the index (its name and list; see notes.ts)
 *    4   a number that is put into the name, or `NO_NUMBER`
 *
 * Integers are big-endian, so that the order of the first 30 bytes is that of the records. 192 bits tell
 * contents apart as surely as all 256: to make a file that agrees with one of 10^7 listed ones takes 2^168 tries.
 */
import type { DigestName } from 'lazaret/plugin';

const HASH = 24;
const SIZE_AT = HASH + 1;
const NOTE_AT = SIZE_AT + 5;
const NUMBER_AT = NOTE_AT + 5;

/** Records are ordered by these first bytes, and none has the same ones as another. */
export const KEY = NOTE_AT;
export const WIDTH = NUMBER_AT + 4;
export const ANY_SIZE = 2 ** 40 - 1;
export const NO_NUMBER = 2 ** 32 - 1;

export const ALGORITHMS: readonly DigestName[] = ['sha256', 'sha1', 'md5'];

/** Where a hash's name stands. */
export interface Reference {
  readonly note: number;
  readonly number: number;
}

export function writeKey(
  into: Buffer,
  at: number,
  algorithm: DigestName,
  hash: string,
  size = ANY_SIZE,
): void {
  into.fill(0, at, at + HASH);
  into.write(hash, at, HASH, 'hex');
  into[at + HASH] = ALGORITHMS.indexOf(algorithm);
  writeSize(into, at, size);
}

export function writeSize(into: Buffer, at: number, size: number): void {
  into.writeUIntBE(size, at + SIZE_AT, 5);
}

export function writeReference(into: Buffer, at: number, { note, number }: Reference): void {
  into.writeUIntBE(note, at + NOTE_AT, 5);
  into.writeUInt32BE(number, at + NUMBER_AT);
}

export const readReference = (from: Buffer, at: number): Reference => ({
  note: from.readUIntBE(at + NOTE_AT, 5),
  number: from.readUInt32BE(at + NUMBER_AT),
});

/** Most keys differ in their first six bytes, which compare as numbers many times faster. */
export const compareKeys = (a: Buffer, atA: number, b: Buffer, atB: number): number =>
  a.readUIntBE(atA, 6) - b.readUIntBE(atB, 6) || a.compare(b, atB, atB + KEY, atA, atA + KEY);

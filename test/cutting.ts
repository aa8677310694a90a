/** Byte streams in pieces, for the tests of whatever reads them. */
import fc from 'fast-check';

/** Places to cut at, as fractions of a length. */
export const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 });

export function cutAt(bytes: Buffer, fractions: readonly number[]): Buffer[] {
  const places = fractions.map((fraction) => Math.floor(fraction * bytes.length)).toSorted((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
}

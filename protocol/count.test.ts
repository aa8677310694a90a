import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addCounts, MOST_COUNTED } from './count.ts';

const count = fc.nat({ max: MOST_COUNTED });

describe('addCounts', () => {
  it('adds', () => {
    expect(addCounts(2, 3)).toBe(5);
  });

  it('stays at the largest number that is exact', () => {
    expect(addCounts(MOST_COUNTED, MOST_COUNTED)).toBe(MOST_COUNTED);
    expect(addCounts(MOST_COUNTED, 0)).toBe(MOST_COUNTED);
  });

  it('gives a safe integer that is no less than either, for any two', () => {
    fc.assert(
      fc.property(count, count, (one, other) => {
        const sum = addCounts(one, other);
        expect(Number.isSafeInteger(sum)).toBe(true);
        expect(sum).toBeGreaterThanOrEqual(Math.max(one, other));
      }),
    );
  });
});

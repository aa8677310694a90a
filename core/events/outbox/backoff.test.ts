import { describe, expect, test } from 'vitest';
import { backoff } from './backoff.ts';
import { systemClock } from './clock.ts';

describe('the pause before the next try', () => {
  test.each([
    [1, 0, 500],
    [1, 1, 1_000],
    [3, 0.5, 3_000],
    [7, 1, 60_000],
    [10_000, 0, 30_000],
  ])('after %d failures, at random %d, is %d ms', (failures, random, expected) => {
    expect(backoff(failures, () => random)).toBe(expected);
  });

  test('is what the receiver asks for when that is longer, up to an hour', () => {
    expect(backoff(1, () => 1, 90_000)).toBe(90_000);
    expect(backoff(9, () => 1, 5)).toBe(60_000);
    expect(backoff(1, () => 1, 1e12)).toBe(3_600_000);
  });
});

describe('the clock', () => {
  test('sleeps no longer than the signal lets it', async () => {
    const abort = new AbortController();
    const slept = systemClock.sleep(3_600_000, abort.signal);
    abort.abort();
    await slept;
    await systemClock.sleep(3_600_000, abort.signal);
  });

  test('wakes by itself', async () => {
    await systemClock.sleep(1, new AbortController().signal);
  });
});

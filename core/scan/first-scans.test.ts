import { describe, expect, it, vi } from 'vitest';
import { type FirstScan, FirstScans } from './first-scans.ts';

const never = new AbortController().signal;
const lines = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, number) => `line ${from + number}`);
/** The first twin that is met. */
const met = (scan: FirstScan, seen: readonly string[]): FirstScan | undefined =>
  seen.map((line) => scan.twin(line)).find((twin) => twin !== undefined);

describe('two first scans', () => {
  it('of guests that list the same are twins to the younger one', () => {
    const scans = new FirstScans();
    const [older, younger] = [scans.begin(), scans.begin()];
    expect(met(older, lines(0, 200))).toBeUndefined();
    expect(met(younger, lines(0, 63))).toBeUndefined();
    expect(met(younger, lines(63, 1))).toBe(older);
  });

  it.each([
    ['a few lines differ', 16, true],
    ['most lines differ', 32, false],
  ])('when %s: %s', (_, differing, isTwin) => {
    const scans = new FirstScans();
    const [older, younger] = [scans.begin(), scans.begin()];
    met(older, lines(0, 64));
    expect(met(younger, [...lines(1000, differing), ...lines(0, 64 - differing)]) !== undefined).toBe(isTwin);
  });

  it('that list the same at one pace are found to be twins later', () => {
    const scans = new FirstScans();
    const [older, younger] = [scans.begin(), scans.begin()];
    expect(met(younger, lines(0, 64))).toBeUndefined();
    met(older, lines(0, 128));
    expect(met(younger, lines(64, 64))).toBe(older);
  });

  it('are none when one is over, or began later', () => {
    const scans = new FirstScans();
    const [older, younger] = [scans.begin(), scans.begin()];
    met(older, lines(0, 64));
    older[Symbol.dispose]();
    expect(met(younger, lines(0, 64))).toBeUndefined();
    expect(met(scans.begin(), lines(0, 64))).toBe(younger);
  });
});

describe('waiting for a twin', () => {
  it('ends with the twin, or with the scan that waits', async () => {
    const scans = new FirstScans();
    const [older, younger] = [scans.begin(), scans.begin()];
    await younger.waitFor(older, AbortSignal.abort());
    const waiting = younger.waitFor(older, never);
    older[Symbol.dispose]();
    await waiting;
  });

  it('ends after a minute, whatever the twin does', async () => {
    vi.useFakeTimers();
    try {
      const scans = new FirstScans();
      const [older, younger] = [scans.begin(), scans.begin()];
      let isOver = false;
      const waiting = younger.waitFor(older, never).then(() => {
        isOver = true;
      });
      await vi.advanceTimersByTimeAsync(59_000);
      expect(isOver).toBe(false);
      await vi.advanceTimersByTimeAsync(2_000);
      await waiting;
    } finally {
      vi.useRealTimers();
    }
  });
});

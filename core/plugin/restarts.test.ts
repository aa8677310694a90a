import { beforeEach, describe, expect, it } from 'vitest';
import { Restarts } from './restarts.ts';

let now: number;
let restarts: Restarts;
beforeEach(() => {
  now = 0;
  restarts = new Restarts({ failures: 2, pauseMs: 100 }, () => now);
});

/** How long it is left alone after it has failed once more. */
function pauseAfterFailure(): number {
  restarts.failed('torn');
  const begun = now;
  while (restarts.obstacle !== undefined) now += 50;
  return now - begun;
}

describe('a plugin', () => {
  it('that failed once is started again at once', () => {
    expect(pauseAfterFailure()).toBe(0);
  });

  it('that fails again and again is left alone, longer each time, but never for good', () => {
    restarts.failed('torn');
    expect(Array.from({ length: 4 }, pauseAfterFailure)).toEqual([100, 200, 400, 800]);
    for (let time = 0; time < 2_000; time++) restarts.failed('torn');
    expect(pauseAfterFailure()).toBe(60_000);
  });

  it('is left alone with a reason', () => {
    expect([restarts.failed('torn'), restarts.failed('worn')]).toEqual([1, 2]);
    expect(restarts.obstacle).toBe('it failed 2 times and is left alone for a while: worn');
  });

  it('that succeeds begins anew', () => {
    restarts.failed('torn');
    restarts.succeeded();
    expect(pauseAfterFailure()).toBe(0);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Budget } from '../../protocol/index.ts';
import { Pace, type PaceClock, systemClock } from './pace.ts';

const MiB = 1024 * 1024;
const never = new AbortController().signal;

/** Time that goes on only where a test says so. */
class FakeClock implements PaceClock {
  ms = 0;
  cpuMs = 0;
  readonly pauses: number[] = [];

  now(): number {
    return this.ms;
  }

  cpu(): number {
    return this.cpuMs * 1000;
  }

  async sleep(ms: number): Promise<void> {
    this.pauses.push(ms);
    this.ms += ms;
  }

  work(cpuMs: number): void {
    this.ms += cpuMs;
    this.cpuMs += cpuMs;
  }
}

function paced(budget?: Budget): { clock: FakeClock; pace: Pace } {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  pace.set(budget);
  return { clock, pace };
}

describe('a budget of CPU time', () => {
  it('is kept, whatever the units of work cost', async () => {
    const units = fc.array(fc.double({ min: 0.01, max: 20, noNaN: true }), { minLength: 1, maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 100 }), units, async (cpuPercent, costs) => {
        const { clock, pace } = paced({ cpuPercent });
        for (const cost of costs) {
          clock.work(cost);
          await pace.next(never);
        }
        const share = cpuPercent / 100;
        // The burst at the start, what a pause is put off for, what was not measured yet.
        expect(clock.cpuMs).toBeLessThanOrEqual(share * (clock.ms + 150) + 1);
        // Nor is the guest held back for nothing: the last pause ends when its debt is paid.
        expect(clock.ms).toBeLessThanOrEqual(Math.max(clock.cpuMs / share, clock.cpuMs) + costs.length);
      }),
    );
  });

  it('leaves nothing to be made up for by a rest', async () => {
    const { clock, pace } = paced({ cpuPercent: 10 });
    clock.ms += 3_600_000;
    const begun = clock.ms;
    for (let unit = 0; unit < 1000; unit++) {
      clock.work(1);
      await pace.next(never);
    }
    expect(clock.ms - begun).toBeGreaterThan(9700);
  });

  it('forgives what would hold up the next sign of life', async () => {
    const { clock, pace } = paced({ cpuPercent: 1 });
    clock.work(60_000);
    await pace.next(never);
    expect(clock.pauses).toEqual([5000]);
  });

  it('does not pause for less than a timer is good for', async () => {
    const { clock, pace } = paced({ cpuPercent: 50 });
    for (let unit = 0; unit < 1000; unit++) {
      clock.work(1);
      await pace.next(never);
    }
    expect(Math.min(...clock.pauses)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...clock.pauses)).toBeLessThan(100);
  });
});

describe('a budget of bytes', () => {
  it('takes the time that they take', async () => {
    const { clock, pace } = paced({ readBytesPerSecond: 4 * MiB });
    for (let piece = 0; piece < 256; piece++) await pace.next(never, 256 * 1024);
    // 64 MiB, of which a tenth of a second's may come at once and the last 50 ms are still owed.
    expect(clock.ms).toBeGreaterThanOrEqual(16_000 - 150);
    expect(clock.ms).toBeLessThanOrEqual(16_000);
  });

  it('is one for all who read at the same time', async () => {
    const { clock, pace } = paced({ readBytesPerSecond: MiB });
    await Promise.all([pace.next(never, MiB), pace.next(never, MiB)]);
    expect(clock.pauses).toEqual([900, 1000]);
  });
});

describe('no budget', () => {
  it('costs nothing, not even a look at the clock', () => {
    const fail = (): never => {
      throw new Error('was asked');
    };
    const pace = new Pace({ now: () => 0, cpu: fail, sleep: fail });
    expect(pace.next(never, 1e12)).toBeUndefined();
    pace.set({});
    expect(pace.next(never, 1e12)).toBeUndefined();
  });

  it('takes the place of one that there was', async () => {
    const { clock, pace } = paced({ cpuPercent: 1, readBytesPerSecond: MiB });
    await pace.next(never, 10 * MiB);
    expect(clock.pauses).toHaveLength(1);
    pace.set();
    expect(pace.next(never, 10 * MiB)).toBeUndefined();
  });
});

it('stops waiting when nobody wants the work any more', async () => {
  const pace = new Pace(systemClock(() => 0));
  pace.set({ readBytesPerSecond: MiB });
  const controller = new AbortController();
  const pause = pace.next(controller.signal, 2 ** 40);
  controller.abort();
  await expect(pause).rejects.toMatchObject({ name: 'AbortError' });
});

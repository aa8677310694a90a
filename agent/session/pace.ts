/**
 * Holds bulk work to the budget that the host granted: a share of one core, and bytes read in a second. Both are
 * debts that time pays off at the rate of the budget. Work is done first, charged after, and what comes next
 * waits until little enough is owed. One pace serves all requests of a session, so that they share one budget.
 *
 * Charged is the CPU time of the whole process and of its reader: encryption, collection of garbage and commands too. A command is
 * never held back; what it costs, the bulk work makes good, up to what `MOST_OWED_MS` says.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Budget } from '../../protocol/index.ts';

/** Shorter pauses are put off until they have come to this: timers are no more exact, and each costs a wake-up. */
const LEAST_PAUSE_MS = 50;
/** What may be done at once after a rest, as time at the rate of the budget. */
const BURST_MS = 100;
/** CPU time beyond this is forgiven, so that no pause is longer. The host takes 15 s without a byte for silence. */
const MOST_OWED_MS = 5000;
/** How often the CPU time is asked for: a call costs a microsecond or two. */
const MEASURE_MS = 1;

/** Where time comes from; tests put their own in. */
export interface PaceClock {
  /** Milliseconds of a clock that nobody can set. */
  now(): number;
  /** CPU time of this process and of those that work for it, user and system, in microseconds. */
  cpu(): number;
  /** Rejects when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** This machine's. `others`: CPU time of other processes that work for us, in microseconds. */
export const systemClock = (others: () => number): PaceClock => ({
  now: () => performance.now(),
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return user + system + others();
  },
  sleep: (ms, signal) => delay(ms, undefined, { signal }),
});

export class Pace {
  private readonly clock: PaceClock;
  private cpu: { readonly debt: Debt; spent: number; measuredAt: number } | undefined;
  private reading: Debt | undefined;

  constructor(clock: PaceClock) {
    this.clock = clock;
  }

  /** From here on; work that is under way goes on at the new pace. Without a budget nothing waits. */
  set({ cpuPercent, readBytesPerSecond }: Budget = {}): void {
    const now = this.clock.now();
    this.cpu =
      cpuPercent === undefined
        ? undefined
        : {
            debt: new Debt(cpuPercent * 10, now, MOST_OWED_MS),
            spent: this.clock.cpu(),
            measuredAt: now,
          };
    this.reading = readBytesPerSecond === undefined ? undefined : new Debt(readBytesPerSecond / 1000, now);
  }

  /**
   * Called after each unit of bulk work, with the bytes that it read. Undefined when the next may begin at once;
   * otherwise a pause, which rejects when nobody wants the work any more.
   */
  next(signal: AbortSignal, bytes = 0): Promise<void> | undefined {
    if (!this.cpu && !this.reading) return undefined;
    const now = this.clock.now();
    const pause = Math.max(this.cpuPause(now), this.reading?.charge(bytes, now) ?? 0);
    return pause < LEAST_PAUSE_MS ? undefined : this.clock.sleep(Math.ceil(pause), signal);
  }

  private cpuPause(now: number): number {
    const { cpu } = this;
    if (!cpu) return 0;
    if (now - cpu.measuredAt < MEASURE_MS) return cpu.debt.charge(0, now);
    const spent = this.clock.cpu();
    const pause = cpu.debt.charge(spent - cpu.spent, now);
    [cpu.spent, cpu.measuredAt] = [spent, now];
    return pause;
  }
}

/** What was used beyond what a rate allows so far. */
class Debt {
  /** Units a millisecond. */
  private readonly rate: number;
  private readonly most: number;
  private owed: number;
  private paidAt: number;

  constructor(rate: number, now: number, mostMs = Number.POSITIVE_INFINITY) {
    this.rate = rate;
    this.most = rate * mostMs;
    this.owed = -rate * BURST_MS;
    this.paidAt = now;
  }

  /** Charges units; gives the milliseconds until they are paid off, none or fewer when nothing is owed. */
  charge(units: number, now: number): number {
    const paid = (now - this.paidAt) * this.rate;
    this.paidAt = now;
    this.owed = Math.min(Math.max(this.owed - paid, -this.rate * BURST_MS) + units, this.most);
    return this.owed / this.rate;
  }
}

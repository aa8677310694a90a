/** A clock that stands still until it is told to go on: tests of minutes take none. */
import type { DeliveryClock } from '../../core/events/outbox/clock.ts';

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

export class ManualClock implements DeliveryClock {
  private time: number;
  private sleepers: Sleeper[] = [];
  private watchers: (() => void)[] = [];

  constructor(time = Date.UTC(2026, 10, 27)) {
    this.time = time;
  }

  now(): number {
    return this.time;
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const sleeper: Sleeper = { until: this.time + milliseconds, wake: resolve };
      this.sleepers.push(sleeper);
      signal.addEventListener('abort', () => this.end(sleeper));
      for (const watch of this.watchers.splice(0)) watch();
    });
  }

  /** Resolves when somebody sleeps; gives for how long the first one still does. */
  async asleep(): Promise<number> {
    while (this.sleepers.length === 0) await new Promise<void>((resolve) => this.watchers.push(resolve));
    return Math.min(...this.sleepers.map(({ until }) => until)) - this.time;
  }

  advance(milliseconds: number): void {
    this.time += milliseconds;
    for (const sleeper of this.sleepers.filter(({ until }) => until <= this.time)) this.end(sleeper);
  }

  private end(sleeper: Sleeper): void {
    this.sleepers = this.sleepers.filter((one) => one !== sleeper);
    sleeper.wake();
  }
}

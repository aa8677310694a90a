/**
 * What somebody else knows, and is asked for no more often than needed. An answer that is young enough stands. An older
 * one is asked for again, and stands in place of the new one when that does not come at once.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** In milliseconds. */
export interface Ages {
  /** So young an answer stands. */
  readonly fresh: number;
  /** So old an answer stands in for one that does not come. */
  readonly stale: number;
  /** So long a new one is waited for where an old one could stand in. */
  readonly patience: number;
}

interface Clock {
  /** Milliseconds, of which the differences count. */
  now(): number;
  wait(milliseconds: number): Promise<unknown>;
}

const systemClock: Clock = { now: () => performance.now(), wait: (milliseconds) => delay(milliseconds) };

interface Loading<T> {
  readonly answer: Promise<T>;
  /** Resolves when nobody who could do with an old answer waits any longer. */
  readonly late: Promise<unknown>;
}

export class Cached<T> {
  private readonly load: () => Promise<T>;
  private readonly ages: Ages;
  private readonly clock: Clock;
  private value: { readonly of: T; readonly at: number } | undefined;
  private loading: Loading<T> | undefined;
  private expired = false;
  private serial = 0;

  constructor(load: () => Promise<T>, ages: Ages, clock: Clock = systemClock) {
    this.load = load;
    this.ages = ages;
    this.clock = clock;
  }

  /** Rejects as `load` does, where nothing can stand in. */
  async get(): Promise<T> {
    const known = this.value;
    const age = known === undefined ? Number.POSITIVE_INFINITY : this.clock.now() - known.at;
    if (known !== undefined && age <= this.ages.fresh && !this.expired) return known.of;
    this.loading ??= this.begin();
    const { answer, late } = this.loading;
    if (known === undefined || age > this.ages.stale) return answer;
    return Promise.race([answer.catch(() => known.of), late.then(() => known.of)]);
  }

  /** What is known is not fresh any more, whatever its age; an answer that is on its way may not be either. */
  expire(): void {
    this.expired = true;
    this.loading = undefined;
    this.serial += 1;
  }

  /** What is known does not hold any more: whoever asks from now on waits for what is so now. */
  forget(): void {
    this.value = undefined;
    this.loading = undefined;
    this.serial += 1;
  }

  private begin(): Loading<T> {
    return { answer: this.ask(this.serial), late: this.clock.wait(this.ages.patience) };
  }

  private async ask(serial: number): Promise<T> {
    const at = this.clock.now();
    try {
      const of = await this.load();
      if (serial === this.serial) {
        this.value = { of, at };
        this.expired = false;
      }
      return of;
    } finally {
      if (serial === this.serial) this.loading = undefined;
    }
  }
}

/** When a plugin that fails may be started again: at once, until it has failed several times in a row; then after pauses that double. */

export interface RestartLimits {
  /** Failures in a row after which it is left alone for `pauseMs`, twice as long each time. */
  readonly failures: number;
  readonly pauseMs: number;
}

const LONGEST_PAUSE_MS = 60_000;

export class Restarts {
  private readonly limits: RestartLimits;
  private readonly clock: () => number;
  private failures = 0;
  private restsUntil = Number.NEGATIVE_INFINITY;
  private reason = '';

  /** `clock`: milliseconds that only go forward. */
  constructor(limits: RestartLimits, clock: () => number = () => performance.now()) {
    this.limits = limits;
    this.clock = clock;
  }

  /** Why it may not be started now. */
  get obstacle(): string | undefined {
    if (this.failures < this.limits.failures || this.clock() >= this.restsUntil) return undefined;
    return `it failed ${this.failures} times and is left alone for a while: ${this.reason}`;
  }

  /** How many times in a row it has failed now. */
  failed(reason: string): number {
    this.failures += 1;
    this.reason = reason;
    const pause = this.limits.pauseMs * 2 ** Math.max(0, this.failures - this.limits.failures);
    this.restsUntil = this.clock() + Math.min(pause, LONGEST_PAUSE_MS);
    return this.failures;
  }

  succeeded(): void {
    this.failures = 0;
  }
}

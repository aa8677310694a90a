/** Time for tests: it passes when they say so, and everything that waits is called in its turn. */

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class ManualTime {
  private now: number;
  private timers: Timer[] = [];

  constructor(now: number) {
    this.now = now;
  }

  readonly clock = (): number => this.now;

  readonly setTimer = (run: () => void, milliseconds: number): (() => void) => {
    const timer = { at: this.now + milliseconds, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };

  /** How long each timer has still to go, the next one first. */
  get waits(): number[] {
    return this.timers.map(({ at }) => at - this.now).sort((one, other) => one - other);
  }

  pass(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= until).sort((one, other) => one.at - other.at);
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = until;
  }
}

/** Lets everything that is ready go on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

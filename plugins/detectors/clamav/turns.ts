/** So many at once; the others wait, first come, first served. */
export class Turns {
  private free: number;
  private allowed: number;
  private readonly waiting: (() => void)[] = [];

  constructor(allowed: number) {
    this.allowed = allowed;
    this.free = allowed;
  }

  allow(count: number): void {
    this.free += count - this.allowed;
    this.allowed = count;
    this.admit();
  }

  /** Runs `work` when its turn has come; it looks at `signal` itself. */
  async take<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted();
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      this.free += 1;
      this.admit();
    }
  }

  private admit(): void {
    while (this.free > 0 && this.waiting.length > 0) {
      this.free -= 1;
      this.waiting.shift()?.();
    }
  }
}

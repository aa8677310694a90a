/**
 * Guests that are scanned for the first time at this moment. Clones of one image that are started together would all
 * be fetched together, each knowing nothing of the others. So one whose listing begins as that of another, older first
 * scan does waits for it, and is then told what the other one has.
 *
 * Nobody waits for long: a guest that holds back, or one that only looks alike, costs the other a minute, once.
 */
const LONGEST_WAIT_MS = 60_000;
/** Lines that are compared: after so many, and again, up to so many. */
const COMPARED_LINES = 64;
const MOST_LINES = 1024;
/** Of the lines of one, so many must be lines of the other. */
const ALIKE_SHARE = 0.75;

export class FirstScans {
  /** The older ones first. */
  private readonly underWay = new Set<FirstScan>();

  begin(): FirstScan {
    const scan = new FirstScan([...this.underWay], () => this.underWay.delete(scan));
    this.underWay.add(scan);
    return scan;
  }
}

export class FirstScan implements Disposable {
  readonly ended: Promise<void>;
  private readonly lines = new Set<string>();
  private readonly older: readonly FirstScan[];
  private readonly end: () => void;
  private isOver = false;

  constructor(older: readonly FirstScan[], onEnd: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.older = older;
    this.ended = promise;
    this.end = () => {
      onEnd();
      resolve();
    };
  }

  /** Takes note of a line; gives the older scan, still under way, that turns out to have the same ones. */
  twin(digest: string): FirstScan | undefined {
    if (this.lines.size >= MOST_LINES) return undefined;
    this.lines.add(digest);
    if (this.lines.size % COMPARED_LINES !== 0) return undefined;
    return this.older.find((other) => !other.isOver && this.isLike(other));
  }

  /** Resolves when it has ended, after a minute, or when the signal is aborted. */
  async waitFor(twin: FirstScan, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LONGEST_WAIT_MS);
    const giveUp = () => resolve();
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    await Promise.race([twin.ended, promise]);
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  }

  [Symbol.dispose](): void {
    this.isOver = true;
    this.end();
  }

  private isLike(other: FirstScan): boolean {
    const common = this.lines.intersection(other.lines).size;
    return common >= ALIKE_SHARE * this.lines.size;
  }
}

/**
 * What becomes of one scan, for any number of those who follow it. Nobody waits for them: who publishes goes on at
 * once. What was told is kept, within bounds, so that one who follows late misses nothing that still matters.
 */
import { ApiError } from './error.ts';
import type { ScanEvent } from './views.ts';

export interface FeedLimits {
  /** Events (progress not counted) that are kept for those who come later; the first of them go. */
  readonly kept: number;
  /** Events that wait for one who follows before it is let go. */
  readonly waiting: number;
}

export const FEED_LIMITS: FeedLimits = { kept: 1000, waiting: 10_000 };

interface Follower {
  waiting: ScanEvent[];
  wake: () => void;
}

export class ScanFeed {
  private readonly limits: FeedLimits;
  private readonly followers = new Set<Follower>();
  private kept: ScanEvent[] = [];
  private progress: ScanEvent | undefined;
  private ended: ScanEvent | undefined;

  constructor(limits: FeedLimits = FEED_LIMITS) {
    this.limits = limits;
  }

  /** After `ended` nothing follows. */
  publish(event: ScanEvent): void {
    if (this.ended) return;
    if (event.type === 'progress') this.progress = event;
    else if (event.type === 'ended') this.ended = event;
    else this.keep(event);
    for (const follower of this.followers) {
      add(follower.waiting, event);
      follower.wake();
    }
  }

  /** How many follow now. */
  get size(): number {
    return this.followers.size;
  }

  /**
   * What is kept, where the scan stands, and all from then on; ends after `ended`, and when `signal` is aborted. Rejects
   * with ApiError `slow-reader` when too much waits.
   */
  async *follow(signal: AbortSignal): AsyncGenerator<ScanEvent> {
    const follower: Follower = { waiting: this.soFar(), wake: () => undefined };
    const onAbort = () => follower.wake();
    signal.addEventListener('abort', onAbort);
    this.followers.add(follower);
    try {
      while (!signal.aborted) {
        const ready = follower.waiting;
        follower.waiting = [];
        for (const event of ready) {
          if (signal.aborted) return;
          yield event;
          if (event.type === 'ended') return;
          this.check(follower);
        }
        if (follower.waiting.length === 0) await woken(follower, signal);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.followers.delete(follower);
    }
  }

  private keep(event: ScanEvent): void {
    this.kept.push(event);
    // In one go now and then: to take the first of many away costs as much as to copy all.
    if (this.kept.length >= 2 * this.limits.kept) this.kept = this.kept.slice(-this.limits.kept);
  }

  private soFar(): ScanEvent[] {
    const latest = this.ended ? [this.ended] : this.progress ? [this.progress] : [];
    return [...this.kept.slice(-this.limits.kept), ...latest];
  }

  private check({ waiting }: Follower): void {
    if (waiting.length > this.limits.waiting)
      throw new ApiError('slow-reader', 'events came faster than they were taken: follow the scan again');
  }
}

/** Progress takes the place of progress: only the latest is of use. */
function add(waiting: ScanEvent[], event: ScanEvent): void {
  if (event.type === 'progress' && waiting.at(-1)?.type === 'progress') waiting.pop();
  waiting.push(event);
}

function woken(follower: Follower, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    follower.wake = resolve;
    if (signal.aborted) resolve();
  });
}

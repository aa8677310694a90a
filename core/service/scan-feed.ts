/**
 * What becomes of one scan, for any number of those who follow it. Nobody waits for them: who publishes goes on at
 * once. What was told is kept, within bounds, so that one who follows late misses nothing that still matters.
 */
import { ApiError } from './error.ts';
import type { ScanEvent } from './views.ts';

export interface FeedLimits {
  /** Events (progress not counted) that are kept for those who come later; the first of them go. */
  readonly kept: number;
  readonly keptCharacters: number;
  /** Events that wait for one who follows before it is let go. */
  readonly waiting: number;
  readonly waitingCharacters: number;
}

/** Events have paths that a guest makes long: both are bounded by their number and by their characters as JSON. */
export const FEED_LIMITS: FeedLimits = {
  ...{ kept: 1000, keptCharacters: 256 * 1024 },
  ...{ waiting: 10_000, waitingCharacters: 4 * 1024 * 1024 },
};

interface Kept {
  readonly event: ScanEvent;
  readonly characters: number;
}

interface Follower {
  waiting: Kept[];
  /** Of those that wait. */
  characters: number;
  /** More came than may wait; what waited is gone. */
  isLetGo: boolean;
  wake: () => void;
}

export class ScanFeed {
  private readonly limits: FeedLimits;
  private readonly followers = new Set<Follower>();
  private kept: Kept[] = [];
  private keptCharacters = 0;
  private progress: ScanEvent | undefined;
  private ended: ScanEvent | undefined;

  constructor(limits: FeedLimits = FEED_LIMITS) {
    this.limits = limits;
  }

  /** After `ended` nothing follows. */
  publish(event: ScanEvent): void {
    if (this.ended) return;
    const characters = event.type === 'ocsf' ? JSON.stringify(event).length : 0;
    if (event.type === 'progress') this.progress = event;
    else if (event.type === 'ended') this.ended = event;
    else this.keep({ event, characters });
    for (const follower of this.followers) {
      this.hand(follower, { event, characters });
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
    const follower: Follower = {
      waiting: this.soFar(),
      characters: 0,
      isLetGo: false,
      wake: () => undefined,
    };
    const onAbort = () => follower.wake();
    signal.addEventListener('abort', onAbort);
    this.followers.add(follower);
    try {
      while (!signal.aborted) {
        const ready = follower.waiting;
        follower.waiting = [];
        follower.characters = 0;
        for (const { event } of ready) {
          if (signal.aborted) return;
          yield event;
          if (event.type === 'ended') return;
          if (follower.isLetGo) throw tooLate();
        }
        if (follower.isLetGo) throw tooLate();
        if (follower.waiting.length === 0) await woken(follower, signal);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.followers.delete(follower);
    }
  }

  private keep(one: Kept): void {
    this.kept.push(one);
    this.keptCharacters += one.characters;
    // In one go now and then: to take the first of many away costs as much as to copy all.
    const { kept, keptCharacters } = this.limits;
    if (this.kept.length >= 2 * kept || this.keptCharacters >= 2 * keptCharacters) this.forgetFirst();
  }

  private forgetFirst(): void {
    this.kept = this.latest();
    this.keptCharacters = this.kept.reduce((sum, { characters }) => sum + characters, 0);
  }

  /** Those that are kept, from behind, as far as they have room. */
  private latest(): Kept[] {
    let left = this.limits.keptCharacters;
    const inReach = this.kept.slice(-this.limits.kept);
    const last = inReach.findLastIndex(({ characters }) => {
      left -= characters;
      return left < 0;
    });
    return inReach.slice(last + 1);
  }

  private soFar(): Kept[] {
    const latest = this.ended ? [this.ended] : this.progress ? [this.progress] : [];
    return [...this.latest(), ...latest.map((event) => ({ event, characters: 0 }))];
  }

  /** Progress takes the place of progress: only the latest is of use. */
  private hand(follower: Follower, one: Kept): void {
    if (follower.isLetGo) return;
    const { waiting } = follower;
    if (one.event.type === 'progress' && waiting.at(-1)?.event.type === 'progress') waiting.pop();
    waiting.push(one);
    follower.characters += one.characters;
    const { waiting: most, waitingCharacters } = this.limits;
    if (waiting.length <= most && follower.characters <= waitingCharacters) return;
    follower.isLetGo = true;
    follower.waiting = [];
  }
}

const tooLate = () =>
  new ApiError('slow-reader', 'events came faster than they were taken: follow the scan again');

function woken(follower: Follower, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    follower.wake = resolve;
    if (signal.aborted) resolve();
  });
}

/**
 * Which guests are scanned at this moment. A number of places bounds how many have this host work; a scan that waits
 * for its guest more than it has the host work holds none. What an open scan costs all the same is memory, so their
 * number has a bound as well: when it is reached and others wait, the slowest gives way.
 *
 * Turns are by guest: each has one scan open at a time, and one that was slow comes later the next time.
 */
import { cancelled } from '../channel/deadline.ts';
import { Pace } from './pace.ts';

/** Open scans for each place. */
const OPEN_PER_PLACE = 4;
/** How often it is looked who is slow, while others wait. */
const LOOK_MS = 1_000;
/** A guest that was slow lets so many others go before it. */
const LATER_BY = 8;
/** Guests that were slow and are remembered; the oldest are forgotten. */
const REMEMBERED_SLOW = 1_000;
/** Who has waited for so long while all open scans were taken has one of them give way. */
const WAIT_MS = 60_000;

export interface PlacesOptions {
  readonly atOnce: number;
  /** Milliseconds that only grow. */
  readonly clock?: () => number;
  /** Calls again and again until what it returns was called. */
  readonly repeat?: (look: () => void) => () => void;
}

export interface Place extends Disposable {
  readonly pace: Pace;
}

interface Asker {
  readonly guest: string;
  /** Made slow by its operator: it never has to give way. */
  readonly isBudgeted: boolean;
}

interface Waiting extends Asker {
  readonly order: number;
  readonly since: number;
  readonly enter: (place: Place) => void;
}

interface Open extends Asker {
  readonly pace: Pace;
  isSlow: boolean;
  wasSlow: boolean;
}

export class Places {
  private readonly atOnce: number;
  private readonly clock: () => number;
  private readonly repeat: (look: () => void) => () => void;
  private readonly open = new Map<string, Open>();
  private waiting: Waiting[] = [];
  private readonly slow = new Set<string>();
  private arrivals = 0;
  private stopLooking: (() => void) | undefined;

  constructor({ atOnce, clock = () => performance.now(), repeat = everySecond }: PlacesOptions) {
    this.atOnce = atOnce;
    this.clock = clock;
    this.repeat = repeat;
  }

  /** Open scans at most. */
  get most(): number {
    return this.atOnce * OPEN_PER_PLACE;
  }

  /** Rejects with ChannelError `cancelled`. The place is given back when it is disposed of. */
  async take(asker: Asker, signal: AbortSignal): Promise<Place> {
    if (signal.aborted) throw cancelled(signal);
    const { promise, resolve, reject } = Promise.withResolvers<Place>();
    const order = this.arrivals++ + (this.slow.has(asker.guest) ? LATER_BY : 0);
    const place = { ...asker, order, since: this.clock(), enter: resolve };
    const giveUp = (): void => {
      this.waiting = this.waiting.filter((other) => other !== place);
      reject(cancelled(signal));
    };
    signal.addEventListener('abort', giveUp, { once: true });
    this.waiting.push(place);
    this.admit();
    return promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  /** Sees which of the open scans are slow, and lets in who has a place now. */
  look(): void {
    for (const each of this.open.values()) {
      each.isSlow = each.pace.isSlowSinceLastLook();
      each.wasSlow ||= each.isSlow;
    }
    this.admit();
    const oldest = this.waiting.reduce(
      (least, { since }) => Math.min(least, since),
      Number.POSITIVE_INFINITY,
    );
    if (this.open.size >= this.most && this.clock() - oldest > WAIT_MS) this.slowest()?.pace.giveWay();
  }

  private admit(): void {
    for (let next = this.next(); next; next = this.next()) this.let(next);
    if (this.waiting.length > 0) this.stopLooking ??= this.repeat(() => this.look());
    else {
      this.stopLooking?.();
      this.stopLooking = undefined;
    }
  }

  private next(): Waiting | undefined {
    const working = this.open.values().filter(({ isSlow }) => !isSlow);
    if (this.open.size >= this.most || working.toArray().length >= this.atOnce) return undefined;
    const ready = this.waiting.filter(({ guest }) => !this.open.has(guest));
    return ready.reduce<Waiting | undefined>(
      (first, each) => (first && first.order <= each.order ? first : each),
      undefined,
    );
  }

  private let(next: Waiting): void {
    const { guest, isBudgeted } = next;
    const open = { guest, isBudgeted, pace: new Pace(this.clock), isSlow: false, wasSlow: false };
    this.waiting = this.waiting.filter((other) => other !== next);
    this.open.set(guest, open);
    next.enter({ pace: open.pace, [Symbol.dispose]: () => this.leave(open) });
  }

  private leave(open: Open): void {
    if (this.open.get(open.guest) !== open) return;
    this.open.delete(open.guest);
    this.slow.delete(open.guest);
    if (open.wasSlow) this.slow.add(open.guest);
    for (const guest of this.slow) {
      if (this.slow.size <= REMEMBERED_SLOW) break;
      this.slow.delete(guest);
    }
    this.admit();
  }

  private slowest(): Open | undefined {
    let slowest: Open | undefined;
    for (const each of this.open.values()) {
      const { slowness } = each.pace;
      if (each.isBudgeted || slowness === undefined) continue;
      if (slowness > (slowest?.pace.slowness ?? 0)) slowest = each;
    }
    return slowest;
  }
}

function everySecond(look: () => void): () => void {
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}

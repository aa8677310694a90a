/**
 * A bound on bytes, shared fairly by scans. Whoever asks while nobody waits and there is room is let in at
 * once, so a lone scan may have all of it. When it is full, the next to be let in is the scan that holds
 * least: one that holds more than the others waits until they have come up to it.
 *
 * Nobody overtakes the one whose turn it is, however large what it asks for. That costs no deadlock and no
 * starvation as long as everybody asks at once for all that its next step needs: whatever was let in then
 * comes to its end without asking for more, and gives back.
 */
interface Waiting {
  readonly bytes: number;
  readonly enter: () => void;
}

/** What one scan holds, and what it waits for. Changed by the room alone. */
export interface RoomShare {
  held: number;
  waiting: Waiting[];
}

export class Room {
  readonly bound: number;
  private used = 0;
  /** The shares that wait, the one that has waited longest first. */
  private readonly waiting = new Set<RoomShare>();

  constructor(bound: number) {
    this.bound = bound;
  }

  get bytesHeld(): number {
    return this.used;
  }

  share(): RoomShare {
    return { held: 0, waiting: [] };
  }

  /** Resolves as soon as `bytes`, at most the bound, are the share's. Rejects with the signal's reason. */
  async enter(share: RoomShare, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.tryEnter(share, bytes)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const place = { bytes, enter: resolve };
    const giveUp = (): void => {
      this.withdraw(share, place);
      reject(signal.reason);
      this.admit();
    };
    signal.addEventListener('abort', giveUp, { once: true });
    share.waiting.push(place);
    this.waiting.add(share);
    await promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  /** The same without waiting: false when there is no room now, or others wait for it. */
  tryEnter(share: RoomShare, bytes: number): boolean {
    if (this.waiting.size > 0 || this.used + bytes > this.bound) return false;
    this.hold(share, bytes);
    return true;
  }

  leave(share: RoomShare, bytes: number): void {
    this.hold(share, -bytes);
    this.admit();
  }

  private admit(): void {
    for (let next = this.next(); next; next = this.next()) {
      const [first] = next.waiting;
      if (!first || this.used + first.bytes > this.bound) return;
      this.withdraw(next, first);
      this.hold(next, first.bytes);
      first.enter();
    }
  }

  /** Of those that hold least, the one that has waited longest. */
  private next(): RoomShare | undefined {
    let next: RoomShare | undefined;
    for (const share of this.waiting) if (!next || share.held < next.held) next = share;
    return next;
  }

  /** A share that goes on waiting for another place does so behind the others. */
  private withdraw(share: RoomShare, place: Waiting): void {
    share.waiting = share.waiting.filter((other) => other !== place);
    this.waiting.delete(share);
    if (share.waiting.length > 0) this.waiting.add(share);
  }

  private hold(share: RoomShare, bytes: number): void {
    share.held += bytes;
    this.used += bytes;
  }
}

/** One place of the spool, a directory with its bound, and what a scan has of it. */
import { join } from 'node:path';
import type { DigestName } from '../api/index.ts';
import { Arrival, takenBack } from './arrival.ts';
import type { Room, RoomShare } from './room.ts';
import type { SpoolDirectory } from './spool-directory.ts';

export interface Place {
  readonly directory: SpoolDirectory;
  readonly room: Room;
  /** Writes may take long, as disks do. */
  readonly slow: boolean;
}

/** What one scan has in one place. */
export class PlaceShare implements Disposable {
  readonly room: Room;
  readonly share: RoomShare;
  private readonly place: Place;
  private readonly nextName: () => string;
  private readonly arrivals = new Set<Arrival>();
  private ended = false;

  constructor(place: Place, nextName: () => string) {
    this.place = place;
    this.room = place.room;
    this.share = place.room.share();
    this.nextName = nextName;
  }

  /** More than there is ever room for is not waited for: each content is then asked for by itself. */
  async reserve(bytes: number, signal: AbortSignal): Promise<Reservation> {
    const reserved = Math.min(bytes, this.room.bound);
    if (reserved > 0) await this.room.enter(this.share, reserved, signal);
    return new Reservation(this, reserved);
  }

  /** Takes over bytes that were reserved. */
  arrive(reserved: number, digests: readonly DigestName[]): Arrival {
    if (this.ended) throw takenBack();
    const arrival: Arrival = new Arrival({
      path: join(this.place.directory.path, this.nextName()),
      reserved,
      digests,
      slow: this.place.slow,
      giveBack: (bytes) => this.room.leave(this.share, bytes),
      onGone: () => this.arrivals.delete(arrival),
    });
    this.arrivals.add(arrival);
    return arrival;
  }

  [Symbol.dispose](): void {
    this.ended = true;
    for (const arrival of this.arrivals) arrival.discard();
  }
}

/** Room of one place that nothing has been put into yet. */
export class Reservation implements Disposable {
  private readonly owner: PlaceShare;
  private left: number;

  constructor(owner: PlaceShare, bytes: number) {
    this.owner = owner;
    this.left = bytes;
  }

  begin(bytes: number, digests: readonly DigestName[]): Arrival | undefined {
    const { room, share } = this.owner;
    const more = Math.max(0, bytes - this.left);
    if (more > 0 && !room.tryEnter(share, more)) return undefined;
    this.left += more;
    const arrival = this.owner.arrive(bytes, digests);
    this.left -= bytes;
    return arrival;
  }

  [Symbol.dispose](): void {
    this.owner.room.leave(this.owner.share, this.left);
    this.left = 0;
  }
}

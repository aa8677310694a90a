/**
 * The spool: where fetched content lies while detectors look at it. Contents lie in a private directory on
 * tmpfs, one file per content, named by the host; those that are large beside it lie in a second one on disk.
 * Each has a bound on its bytes, which scans share fairly (see room.ts).
 *
 * Who fetches asks for the room of a whole request before it sends it, and waits for that alone: as long as it
 * waits, it reads nothing from its guest, and a request that was sent never waits for room.
 *
 * File operations on tmpfs are synchronous on purpose: they are memory copies of microseconds, and a trip
 * through the thread pool costs more than the work.
 */
import { mkdirSync } from 'node:fs';
import type { DigestName } from '../api/index.ts';
import { ScanError } from '../error.ts';
import { type Arrival, takenBack } from './arrival.ts';
import { Room } from './room.ts';
import { SpoolDirectory } from './spool-directory.ts';
import { type Place, PlaceShare } from './spool-place.ts';

export type { Content } from './arrival.ts';

/** Where contents can be put. */
export interface Intake {
  /** The largest content that can ever enter. */
  readonly largest: number;
  /** The setting that says so. */
  readonly limit: 'spool.bytes' | 'spool.overflow';
  /** Resolves as soon as there is room for contents of these sizes, all at once. Rejects with the signal's reason. */
  admit(sizes: readonly number[], signal: AbortSignal): Promise<Admission>;
}

/** Room for some contents; what they did not take is given back when it is disposed of. */
export interface Admission extends Disposable {
  /** Begins a content of at most `bytes`. Undefined when that is more than was asked for and there is no more room now. */
  begin(bytes: number, digests: readonly DigestName[]): Arrival | undefined;
}

/** Where contents go that are too large to lie in memory. */
export interface Overflow {
  /** Made when it is not there. */
  readonly directory: string;
  readonly bytes: number;
}

export class Spool implements Disposable {
  private readonly memory: Place;
  private readonly disk: Place | undefined;
  private serial = 0;

  private constructor(memory: Place, disk?: Place) {
    this.memory = memory;
    this.disk = disk;
  }

  /** Makes private directories, and removes those that crashes left behind; throws ScanError `spool-failed`. */
  static create(parent: string, bound: number, overflow?: Overflow): Spool {
    const memory = place(
      parent,
      bound,
      false,
      `cannot make a spool below ${parent}: set spool.directory to a tmpfs`,
    );
    if (!overflow) return new Spool(memory);
    try {
      return new Spool(memory, diskPlace(overflow));
    } catch (error) {
      memory.directory[Symbol.dispose]();
      throw error;
    }
  }

  get bytesHeld(): number {
    return this.memory.room.bytesHeld + (this.disk?.room.bytesHeld ?? 0);
  }

  /** In memory half of it at most: beside one such content others still go on. */
  get largestInMemory(): number {
    return Math.floor(this.memory.room.bound / 2);
  }

  get largest(): number {
    return Math.max(this.largestInMemory, this.disk?.room.bound ?? 0);
  }

  get limit(): Intake['limit'] {
    return this.disk ? 'spool.overflow' : 'spool.bytes';
  }

  /** The part of one scan: what the scan left in it, however it ended, is gone when the part is disposed of. */
  share(): SpoolShare {
    const { memory, disk } = this;
    const nextName = () => String(++this.serial);
    return new SpoolShare(this, new PlaceShare(memory, nextName), disk && new PlaceShare(disk, nextName));
  }

  [Symbol.dispose](): void {
    this.memory.directory[Symbol.dispose]();
    this.disk?.directory[Symbol.dispose]();
  }
}

function place(parent: string, bound: number, slow: boolean, complaint: string): Place {
  try {
    return { directory: SpoolDirectory.create(parent), room: new Room(bound), slow };
  } catch (cause) {
    throw new ScanError('spool-failed', complaint, { cause });
  }
}

function diskPlace({ directory, bytes }: Overflow): Place {
  const complaint = `cannot make a spool below ${directory}: set spool.overflow.directory to one that can be written`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ScanError('spool-failed', complaint, { cause });
  }
  return place(directory, bytes, true, complaint);
}

export class SpoolShare implements Intake, Disposable {
  private readonly spool: Spool;
  private readonly memory: PlaceShare;
  private readonly disk: PlaceShare | undefined;
  private ended = false;

  constructor(spool: Spool, memory: PlaceShare, disk: PlaceShare | undefined) {
    this.spool = spool;
    this.memory = memory;
    this.disk = disk;
  }

  get largest(): number {
    return this.spool.largest;
  }

  get limit(): Intake['limit'] {
    return this.spool.limit;
  }

  async admit(sizes: readonly number[], signal: AbortSignal): Promise<Admission> {
    const { largest, largestInMemory } = this.spool;
    const tooLarge = sizes.find((size) => size > largest);
    if (tooLarge !== undefined)
      throw new ScanError('spool-failed', `${tooLarge} bytes cannot fit into the spool`);
    using stack = new DisposableStack();
    // Always in this order, so that nobody waits for one place who holds what others wait for in the other.
    const inMemory = stack.use(
      await this.memory.reserve(sum(sizes.filter((size) => size <= largestInMemory)), signal),
    );
    const onDisk =
      this.disk &&
      stack.use(await this.disk.reserve(sum(sizes.filter((size) => size > largestInMemory)), signal));
    if (this.ended) throw takenBack();
    const held = stack.move();
    return {
      begin: (bytes, digests) => (bytes > largestInMemory ? onDisk : inMemory)?.begin(bytes, digests),
      [Symbol.dispose]: () => held.dispose(),
    };
  }

  [Symbol.dispose](): void {
    this.ended = true;
    this.memory[Symbol.dispose]();
    this.disk?.[Symbol.dispose]();
  }
}

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);

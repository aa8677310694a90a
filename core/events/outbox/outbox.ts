/**
 * Events on their way out of this host. One is accepted when it is on the disk, then goes to every outlet, to each at
 * its own pace, in order, at least once: a receiver counts events by their `metadata.uid`. A receiver that is down
 * costs room in the spool alone; when that is used up, actions are withheld first, then events are not accepted.
 */
import type { Logger } from '../../api/index.ts';
import { EventError } from '../../error.ts';
import { isOfAction } from '../of-action.ts';
import type { EventRoom, EventSink, OcsfEvent } from '../sink.ts';
import { type DeliveryClock, systemClock } from './clock.ts';
import { Delivery, type SinkStatus } from './delivery.ts';
import { openStore } from './open.ts';
import type { EventOutlet } from './outlet.ts';
import { RefusedEvents } from './refused.ts';
import { type NewEvent, type OutboxStore, requireReadable, sizeOf } from './store.ts';

export interface OutboxOptions {
  /** The state directory, whose lock this process holds. */
  readonly directory: string;
  /** How much may wait. */
  readonly bytes: number;
  readonly outlets: readonly EventOutlet[];
  readonly logger: Logger;
  readonly clock?: DeliveryClock;
  readonly random?: () => number;
}

export interface OutboxStatus {
  readonly events: number;
  readonly bytes: number;
  readonly limit: number;
  /** Events that were not accepted, since this process started. */
  readonly rejected: number;
  readonly sinks: readonly SinkStatus[];
}

interface Waiting extends PromiseWithResolvers<void> {
  readonly event: NewEvent;
}

const LARGEST_RESERVE = 2 ** 20;

export class Outbox implements EventSink, EventRoom {
  private readonly store: OutboxStore;
  private readonly clock: DeliveryClock;
  private readonly delivery: Delivery;
  private limit: number;
  private waiting: Waiting[] = [];
  private waitingBytes = 0;
  private committing: NodeJS.Immediate | undefined;
  private stopped: Promise<void> | undefined;
  private failure: Error | undefined;
  private rejected = 0;

  /** Opens the spool. Throws StoreError; a damaged spool is put aside and said. */
  constructor({
    directory,
    bytes,
    outlets,
    logger,
    clock = systemClock,
    random = Math.random,
  }: OutboxOptions) {
    this.clock = clock;
    this.limit = bytes;
    this.store = openStore(directory, logger, clock.now());
    const refused = new RefusedEvents(directory, clock);
    this.delivery = new Delivery(this.store, { refused, logger, clock, random });
    this.delivery.place(outlets);
  }

  /**
   * Accepts an event: on the disk when it resolves. All events of one turn of the event loop share one write. Rejects
   * with EventError `spool-full`, `spool-failed` (full or failing disk) or `stopped`; nothing is kept of it then.
   */
  async emit(event: OcsfEvent): Promise<void> {
    if (this.stopped) throw new EventError('stopped', 'events are not accepted any more: the service stops');
    if (this.delivery.goesNowhere) return;
    const stored = this.readable(storedOf(event, this.clock.now()));
    const size = sizeOf(stored.json);
    if (this.used + size > this.limitFor(event)) {
      this.rejected += 1;
      throw new EventError('spool-full', `an event was not accepted: ${this.whyFull()}`);
    }
    const waiting = { event: stored, ...Promise.withResolvers<void>() };
    this.waiting.push(waiting);
    this.waitingBytes += size;
    this.committing ??= setImmediate(() => this.commit());
    return waiting.promise;
  }

  reasonToWithhold(): string | undefined {
    if (this.delivery.goesNowhere) return undefined;
    if (this.failure && !this.canWrite()) return `events cannot be kept: ${this.failure.message}`;
    return this.used + 2 * this.reserve > this.limit ? this.whyFull() : undefined;
  }

  canAccept(): boolean {
    return this.reasonToWithhold() === undefined;
  }

  /** Starts to deliver, once. Events are accepted before that as well. */
  start(): void {
    this.delivery.start();
  }

  /**
   * Takes other outlets or another size, as a reload of the configuration brings them. Events are accepted meanwhile, and
   * none is lost; one that was on its way may reach its sink twice. Rejects with StoreError when the disk fails.
   */
  async use({ outlets, bytes }: Pick<OutboxOptions, 'outlets' | 'bytes'>): Promise<void> {
    this.limit = bytes;
    await this.delivery.use(outlets);
  }

  /**
   * Accepts no more, delivers what it can within so many milliseconds, closes everything. What is left is delivered
   * after the next start. Does not reject.
   */
  stop(within: number): Promise<void> {
    this.stopped ??= this.end(within);
    return this.stopped;
  }

  private async end(within: number): Promise<void> {
    this.commit();
    await this.delivery.stop(within);
    this.store.close();
  }

  status(): OutboxStatus {
    const { events, bytes } = this.store;
    return { events, bytes, limit: this.limit, rejected: this.rejected, sinks: this.delivery.status() };
  }

  private readable(event: NewEvent): NewEvent {
    try {
      requireReadable(event);
      return event;
    } catch (cause) {
      this.rejected += 1;
      throw new EventError('spool-failed', asError(cause).message, { cause });
    }
  }

  private commit(): void {
    clearImmediate(this.committing);
    this.committing = undefined;
    const batch = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    if (batch.length === 0) return;
    try {
      this.store.append(batch.map(({ event }) => event));
      this.failure = undefined;
      for (const { resolve } of batch) resolve();
    } catch (cause) {
      this.failure = asError(cause);
      this.rejected += batch.length;
      const message = `an event could not be kept: ${this.failure.message}`;
      for (const { reject } of batch) reject(new EventError('spool-failed', message, { cause }));
    }
    this.delivery.wake();
  }

  /** Whether the disk takes writes again after one has failed. */
  private canWrite(): boolean {
    try {
      this.delivery.keepPositions();
      this.failure = undefined;
      return true;
    } catch (error) {
      this.failure = asError(error);
      return false;
    }
  }

  private get used(): number {
    return this.store.bytes + this.waitingBytes;
  }

  /** Kept free for events of actions that have begun. */
  private get reserve(): number {
    return Math.min(LARGEST_RESERVE, Math.floor(this.limit / 8));
  }

  private limitFor(event: OcsfEvent): number {
    return isOfAction(event) ? this.limit : this.limit - this.reserve;
  }

  private whyFull(): string {
    return `the event spool is full: ${this.delivery.whoIsBehind()}`;
  }
}

const asError = (cause: unknown): Error => (cause instanceof Error ? cause : new Error(String(cause)));

function storedOf(event: OcsfEvent, now: number): NewEvent {
  const { metadata, class_uid, time, severity_id } = event;
  return {
    uid: metadata.uid,
    classUid: class_uid,
    severityId: typeof severity_id === 'number' ? severity_id : 0,
    time: Math.trunc(time),
    acceptedAt: now,
    json: JSON.stringify({ ...event, metadata: { ...metadata, logged_time: now } }),
  };
}

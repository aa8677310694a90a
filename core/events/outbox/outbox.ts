/**
 * Events on their way out of this host. One is accepted when it is on the disk, then goes to every outlet, to each at
 * its own pace, in order, at least once: a receiver counts events by their `metadata.uid`. A receiver that is down
 * costs room in the spool alone; when that is used up, actions are withheld first, then events are not accepted.
 */
import type { Logger } from '../../api/index.ts';
import { EventError } from '../../error.ts';
import type { EventRoom, EventSink, OcsfEvent } from '../sink.ts';
import { type DeliveryClock, systemClock } from './clock.ts';
import { Lane, type LaneFault } from './lane.ts';
import { openStore } from './open.ts';
import type { EventOutlet } from './outlet.ts';
import { RefusedEvents } from './refused.ts';
import { type NewEvent, type OutboxStore, sizeOf } from './store.ts';

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

export interface SinkStatus {
  readonly sink: string;
  /** Events that it has not got yet. */
  readonly queued: number;
  /** How long the oldest of them has waited; 0 when there is none. */
  readonly oldestAgeMs: number;
  /** Since this process started. */
  readonly delivered: number;
  /** Put aside as refused, since this process started. */
  readonly refused: number;
  /** In a row; 0 while it works. */
  readonly failures: number;
  /** Undefined while it works. */
  readonly lastError: LaneFault | undefined;
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

/** OCSF's category of remediations: what was done in a guest. */
const REMEDIATION = 7;
const LARGEST_RESERVE = 2 ** 20;

export class Outbox implements EventSink, EventRoom {
  private readonly store: OutboxStore;
  private readonly options: OutboxOptions;
  private readonly clock: DeliveryClock;
  private readonly lanes: readonly Lane[];
  /** Kept free for events of actions that have begun. */
  private readonly reserve: number;
  private readonly cut = new AbortController();
  private waiting: Waiting[] = [];
  private waitingBytes = 0;
  private committing: NodeJS.Immediate | undefined;
  private running: Promise<unknown> | undefined;
  private stopped: Promise<void> | undefined;
  private failure: Error | undefined;
  private rejected = 0;

  /** Opens the spool. Throws StoreError; a damaged spool is put aside and said. */
  constructor(options: OutboxOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.reserve = Math.min(LARGEST_RESERVE, Math.floor(options.bytes / 8));
    this.store = openStore(options.directory, options.logger, this.clock.now());
    const parts = {
      read: this.store.read.bind(this.store),
      keep: () => this.keepPositions(),
      refused: new RefusedEvents(options.directory, this.clock),
      logger: options.logger,
      clock: this.clock,
      random: options.random ?? Math.random,
    };
    this.lanes = options.outlets.map((outlet) => new Lane(outlet, this.startOf(outlet.name), parts));
    this.keepPositions();
  }

  /**
   * Accepts an event: on the disk when it resolves. All events of one turn of the event loop share one write. Rejects
   * with EventError `spool-full`, `spool-failed` (full or failing disk) or `stopped`; nothing is kept of it then.
   */
  async emit(event: OcsfEvent): Promise<void> {
    if (this.stopped) throw new EventError('stopped', 'events are not accepted any more: the service stops');
    if (this.lanes.length === 0) return;
    const stored = storedOf(event, this.clock.now());
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
    if (this.lanes.length === 0) return undefined;
    if (this.failure) return `events cannot be kept: ${this.failure.message}`;
    return this.used + 2 * this.reserve > this.options.bytes ? this.whyFull() : undefined;
  }

  canAccept(): boolean {
    return this.reasonToWithhold() === undefined;
  }

  /** Starts to deliver. Events are accepted before that as well. */
  start(): void {
    this.running ??= Promise.all(this.lanes.map((lane) => lane.run(this.cut.signal)));
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
    for (const lane of this.lanes) lane.finish();
    const done = new AbortController();
    const late = this.clock.sleep(within, done.signal).then(() => this.cut.abort());
    await this.running;
    done.abort();
    await late;
    await Promise.all(this.lanes.map(({ outlet }) => outlet.close?.()));
    this.store.close();
  }

  status(): OutboxStatus {
    const { events, bytes } = this.store;
    const sinks = this.lanes.map((lane) => this.statusOf(lane));
    return { events, bytes, limit: this.options.bytes, rejected: this.rejected, sinks };
  }

  private statusOf(lane: Lane): SinkStatus {
    const { outlet, position, delivered, refused, failures, lastError } = lane;
    const oldest = this.store.oldestAfter(position);
    const oldestAgeMs = oldest === undefined ? 0 : Math.max(0, this.clock.now() - oldest);
    const queued = this.store.head - position;
    return { sink: outlet.name, queued, oldestAgeMs, delivered, refused, failures, lastError };
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
    for (const lane of this.lanes) lane.wake();
  }

  private keepPositions(): void {
    if (this.lanes.length === 0) return;
    this.store.keep(new Map(this.lanes.map(({ outlet, position }) => [outlet.name, position])));
    this.failure = undefined;
  }

  /** One that is new starts with what still waits for others. */
  private startOf(sink: string): number {
    return this.store.position(sink) ?? this.store.head - this.store.events;
  }

  private get used(): number {
    return this.store.bytes + this.waitingBytes;
  }

  private limitFor(event: OcsfEvent): number {
    const ofAction = Math.floor(event.class_uid / 1000) === REMEDIATION;
    return ofAction ? this.options.bytes : this.options.bytes - this.reserve;
  }

  private whyFull(): string {
    const [slowest] = this.lanes.toSorted((one, other) => one.position - other.position);
    const fault = slowest?.lastError;
    const reason = fault ? ` (${fault.message})` : '';
    return `the event spool is full: the sink ${slowest?.outlet.name} does not keep up${reason}`;
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

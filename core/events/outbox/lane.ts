/**
 * The way of events to one outlet: in their order, again and again until it has them. Events that the receiver refuses
 * for what they are would block all behind them: they are found by sending ever fewer at once, tried some more times,
 * then put into a file of their own.
 */
import type { Logger } from '../../api/index.ts';
import { DeliveryError } from '../../error.ts';
import { backoff } from './backoff.ts';
import type { DeliveryClock } from './clock.ts';
import type { EventOutlet, StoredEvent } from './outlet.ts';
import type { RefusedEvents } from './refused.ts';

/** How often one event is sent that is refused each time. */
const TRIES_WHEN_REFUSED = 5;

export interface LaneParts {
  read(after: number, most: EventOutlet['batch']): StoredEvent[];
  /** Keeps all lanes' positions. */
  keep(): void;
  readonly refused: RefusedEvents;
  readonly logger: Logger;
  readonly clock: DeliveryClock;
  /** From 0 to 1. */
  readonly random: () => number;
}

export interface LaneFault {
  readonly at: number;
  readonly message: string;
}

export class Lane {
  readonly outlet: EventOutlet;
  /** It has all events up to and with this one. */
  position: number;
  delivered = 0;
  refused = 0;
  /** In a row. */
  failures = 0;
  lastError: LaneFault | undefined;
  private readonly parts: LaneParts;
  private width: number;
  private refusals = 0;
  private retryAfter = 0;
  private unsaved = false;
  private woken = Promise.withResolvers<void>();
  private readonly ending = new AbortController();

  constructor(outlet: EventOutlet, position: number, parts: LaneParts) {
    this.outlet = outlet;
    this.position = position;
    this.parts = parts;
    this.width = outlet.batch.events;
  }

  /** There are new events. */
  wake(): void {
    this.woken.resolve();
    this.woken = Promise.withResolvers();
  }

  /** Ends `run` when all that is there was delivered, or when one more try failed. */
  finish(): void {
    this.ending.abort();
    this.wake();
  }

  /** Delivers until `signal` is aborted or `finish` was called. Does not reject. */
  async run(signal: AbortSignal): Promise<void> {
    const ends = AbortSignal.any([signal, this.ending.signal]);
    signal.addEventListener('abort', () => this.wake(), { once: true });
    while (!signal.aborted) {
      // Taken before the turn: what comes during it is not missed.
      const { promise } = this.woken;
      const ending = this.ending.signal.aborted;
      const progress = await this.turn(signal);
      if (ending && progress !== 'more') return;
      if (progress === 'failed') await this.parts.clock.sleep(this.pause(), ends);
      else if (progress === 'idle') await promise;
    }
  }

  private async turn(signal: AbortSignal): Promise<'more' | 'idle' | 'failed'> {
    try {
      if (this.unsaved) this.save();
      const batch = this.parts.read(this.position, { ...this.outlet.batch, events: this.width });
      if (batch.length === 0) return 'idle';
      return await this.send(batch, signal);
    } catch (error) {
      if (!signal.aborted) this.note(error);
      return 'failed';
    }
  }

  private async send(batch: readonly StoredEvent[], signal: AbortSignal): Promise<'more'> {
    try {
      await this.outlet.deliver(batch, signal);
    } catch (error) {
      if (!(error instanceof DeliveryError) || error.code !== 'refused') throw error;
      await this.narrow(batch, error);
      return 'more';
    }
    this.recovered(batch);
    this.delivered += batch.length;
    this.width = Math.min(this.outlet.batch.events, this.width * 2);
    this.passed(batch);
    return 'more';
  }

  /** Some event of the batch is refused: half as many are sent, until it is alone. */
  private async narrow(batch: readonly StoredEvent[], error: DeliveryError): Promise<void> {
    if (batch.length > 1) {
      this.width = Math.ceil(batch.length / 2);
      return;
    }
    this.refusals += 1;
    if (this.refusals < TRIES_WHEN_REFUSED) throw error;
    await this.parts.refused.add(this.outlet.name, batch, error);
    this.refused += batch.length;
    this.failures = 0;
    this.lastError = undefined;
    this.parts.logger.warn('a sink refuses an event: it was put aside', {
      sink: this.outlet.name,
      events: batch.map(({ uid }) => uid),
      file: this.parts.refused.path,
      reason: error.message,
    });
    this.passed(batch);
  }

  /** In memory at once: a position that cannot be written now must not have the events sent all over again. */
  private passed(batch: readonly StoredEvent[]): void {
    this.refusals = 0;
    this.position = batch.at(-1)?.sequence ?? this.position;
    this.unsaved = true;
    this.save();
  }

  private save(): void {
    this.parts.keep();
    this.unsaved = false;
  }

  private recovered(batch: readonly StoredEvent[]): void {
    if (this.failures === 0) return;
    const facts = { sink: this.outlet.name, failures: this.failures, events: batch.length };
    this.failures = 0;
    this.lastError = undefined;
    this.parts.logger.info('a sink takes events again', facts);
  }

  /** Said when it starts to fail, and when it fails in another way. */
  private note(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.failures += 1;
    this.retryAfter = error instanceof DeliveryError ? (error.retryAfter ?? 0) : 0;
    const said = this.lastError?.message === message;
    this.lastError = { at: this.parts.clock.now(), message };
    if (said) return;
    this.parts.logger.warn('a sink does not take events: they wait in the spool', {
      sink: this.outlet.name,
      reason: message,
    });
  }

  private pause(): number {
    return backoff(Math.max(1, this.failures), this.parts.random, this.retryAfter);
  }
}

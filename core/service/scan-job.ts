/** One scan that was asked for or came due, from the queue to its end, and those who follow it. */
import { randomUUID } from 'node:crypto';
import type { GuestPath } from '../../protocol/index.ts';
import type { Mode } from '../api/index.ts';
import { describeError } from '../error.ts';
import type { OcsfEvent } from '../events/sink.ts';
import { isPartial, type ScanProgress, type ScanReport } from '../scan/report.ts';
import type { ScanTrigger } from '../store/records.ts';
import { ScanFeed } from './scan-feed.ts';
import type { ScanEvent, ScanView, VmName } from './views.ts';

export interface JobOrder {
  readonly vm: VmName;
  readonly trigger: ScanTrigger;
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly fresh: boolean;
  readonly roots: readonly GuestPath[];
}

export type JobState = ScanView['state'];

export class ScanJob {
  readonly id: string = randomUUID();
  readonly order: JobOrder;
  readonly ended: Promise<void>;
  private readonly clock: () => number;
  private readonly stop = new AbortController();
  private feed = new ScanFeed();
  private readonly settle: () => void;
  private readonly queuedAt: number;
  private startedAt: number | undefined;
  private finishedAt: number | undefined;
  private progress: ScanProgress | undefined;
  private report: ScanReport | undefined;
  private isForgotten = false;
  private summary: ScanReport['scan']['summary'];
  private error: ScanView['error'];
  #state: JobState = 'queued';

  constructor(order: JobOrder, clock: () => number) {
    this.order = order;
    this.clock = clock;
    this.queuedAt = clock();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.settle = resolve;
  }

  get state(): JobState {
    return this.#state;
  }

  get isOver(): boolean {
    return this.#state !== 'queued' && this.#state !== 'running';
  }

  /** The code of what it came to nothing by. */
  get failure(): string | undefined {
    return this.error?.code;
  }

  /** What it had to do without; of one that was carried out, as long as its report is kept. */
  get problems(): ScanReport['problems'] {
    return this.report?.problems ?? [];
  }

  /** Aborted when the scan is not wanted any more. */
  get signal(): AbortSignal {
    return this.stop.signal;
  }

  cancel(reason: Error): void {
    this.stop.abort(reason);
  }

  /** Carries `work` out, to its end whatever that is. Does not reject. */
  async run(work: (onProgress: (progress: ScanProgress) => void) => Promise<ScanReport>): Promise<void> {
    try {
      this.signal.throwIfAborted();
      this.report = await work((progress) => this.advance(progress));
      this.summary = this.report.scan.summary;
      this.#state = 'finished';
    } catch (error) {
      this.#state = this.signal.aborted ? 'cancelled' : 'failed';
      this.error = describeError(this.signal.aborted ? this.signal.reason : error);
    }
    this.finishedAt = this.clock();
    this.feed.publish(this.ending());
    this.settle();
  }

  /** An event that belongs to this scan. */
  note(event: OcsfEvent): void {
    this.feed.publish({ type: 'ocsf', event });
  }

  /** See `Operations.followScan`. */
  follow(signal: AbortSignal): AsyncIterable<ScanEvent> {
    return this.feed.follow(signal);
  }

  /** What it found is in the records; report and events are for who follows not long after its end. */
  forgetReport(): void {
    if (this.isForgotten) return;
    this.isForgotten = true;
    this.report = undefined;
    this.feed = new ScanFeed();
    this.feed.publish(this.ending());
  }

  view(): ScanView {
    const { vm, mode, dryRun, trigger } = this.order;
    const { id, state, queuedAt, startedAt, finishedAt, error } = this;
    const { summary } = this;
    return {
      ...{ id, vm, mode, dryRun, trigger, state, queuedAt },
      ...(isPartial(this.order.roots) && { partial: true as const }),
      ...(startedAt !== undefined && { startedAt }),
      ...(finishedAt !== undefined && { finishedAt }),
      ...(this.progress && state === 'running' && { progress: this.progress }),
      ...(summary && { summary: { ...summary, unscanned: { ...summary.unscanned } } }),
      ...(error && { error }),
    };
  }

  private advance(progress: ScanProgress): void {
    this.startedAt ??= this.clock();
    if (!this.isOver) this.#state = 'running';
    this.progress = progress;
    this.feed.publish({ type: 'progress', progress });
  }

  private ending(): ScanEvent {
    return { type: 'ended', scan: this.view(), ...(this.report && { report: this.report }) };
  }
}

/**
 * The scans of the service: queued in the order in which they were asked for, one at a time for each guest, as many at
 * once as the engine takes. What comes due for a guest that waits for a scan already is that scan.
 */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import type { Domain } from '../channel/session.ts';
import type { EventSink, OcsfEvent } from '../events/sink.ts';
import type { ScanHooks, ScanReport, ScanRequest } from '../scan/report.ts';
import { OperationError } from './error.ts';
import { ProblemLog } from './problem-log.ts';
import { type JobOrder, ScanJob } from './scan-job.ts';

/** Of scans that have ended, so many are remembered, and the reports of so many. */
const KEPT_JOBS = 1_000;
const KEPT_REPORTS = 16;

export interface ScanJobsParts {
  readonly scanner: { scan(request: ScanRequest, hooks: ScanHooks): Promise<ScanReport> };
  /** Where the guest of this id is now. Throws OperationError. */
  readonly domainOf: (vm: string) => Domain;
  readonly clock: () => number;
  readonly logger: Logger;
  /** Called when a scan has ended, whatever it came to; the next one of that guest begins when it is done. Must not reject. */
  readonly onEnded?: (job: ScanJob) => Promise<void>;
}

export class ScanJobs implements EventSink {
  private readonly parts: ScanJobsParts;
  /** Oldest first. */
  private readonly jobs = new Map<string, ScanJob>();
  /** The end of the last scan of each guest that has one. */
  private readonly tails = new Map<string, Promise<void>>();
  /** By guest: the code by which its last scan failed. */
  private readonly failing = new Map<string, string | undefined>();
  private readonly problems: ProblemLog;
  private isClosed = false;

  constructor(parts: ScanJobsParts) {
    this.parts = parts;
    this.problems = new ProblemLog(parts.logger);
  }

  /** Throws OperationError `shutting-down`. */
  begin(order: JobOrder): ScanJob {
    if (this.isClosed)
      throw new OperationError('shutting-down', 'the service is being stopped: ask again later');
    const waiting = order.trigger === 'manual' ? undefined : this.queuedFor(order.vm.id);
    if (waiting) return waiting;
    const job = new ScanJob(order, this.parts.clock);
    this.jobs.set(job.id, job);
    const before = this.tails.get(order.vm.id) ?? Promise.resolve();
    const ended = Promise.race([before, aborted(job.signal)]).then(() => this.run(job));
    const tail = Promise.all([before, ended]).then(() => {
      if (this.tails.get(order.vm.id) === tail) this.tails.delete(order.vm.id);
    });
    this.tails.set(order.vm.id, tail);
    return job;
  }

  /** Those that wait, run, or ended not long ago, newest first. */
  list(): ScanJob[] {
    return [...this.jobs.values()].reverse();
  }

  find(id: string): ScanJob | undefined {
    return this.jobs.get(id);
  }

  /** Those of a guest that wait or run. */
  ofVm(vm: string): ScanJob[] {
    return this.list().filter((job) => job.order.vm.id === vm && !job.isOver);
  }

  /** Tells who follows the scan that an event belongs to. */
  async emit(event: OcsfEvent): Promise<void> {
    const { correlation_uid: id } = event.metadata as { correlation_uid?: string };
    if (id !== undefined) this.jobs.get(id)?.note(event);
  }

  /** Ends all that wait or run, and resolves when they have ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    const reason = new OperationError('shutting-down', 'the service was stopped');
    for (const job of this.jobs.values()) if (!job.isOver) job.cancel(reason);
    await Promise.all(this.tails.values());
  }

  private queuedFor(vm: string): ScanJob | undefined {
    return this.ofVm(vm).find(({ state, order }) => state === 'queued' && order.trigger !== 'manual');
  }

  private async run(job: ScanJob): Promise<void> {
    const { scanner, domainOf, logger, onEnded } = this.parts;
    const { vm, trigger, mode, dryRun, fresh, roots } = job.order;
    await job.run(async (onProgress) => {
      const request = { id: job.id, trigger, domain: domainOf(vm.id), mode, dryRun, fresh, roots };
      return scanner.scan(request, { onProgress, signal: job.signal });
    });
    this.forgetOld();
    const { state, error } = job.view();
    const facts = { scan: job.id, vm: vm.id, trigger, ...(error && { code: error.code }) };
    const name = displayText(vm.name);
    if (state === 'failed')
      this.tellFailure(job, `the scan of ${name} failed: ${error?.message ?? ''}`, facts);
    else logger.info(`the scan of ${name} is ${state}`, facts);
    if (state === 'finished') {
      this.failing.delete(vm.id);
      this.problems.scanEnded(job.id, vm.name, job.problems);
    }
    await onEnded?.(job);
  }

  /** One that fails for the same reason each time it is tried again is said once. */
  private tellFailure(
    { order, failure }: ScanJob,
    message: string,
    facts: Readonly<Record<string, unknown>>,
  ): void {
    const { vm, trigger } = order;
    const isSaid = trigger !== 'manual' && this.failing.get(vm.id) === failure;
    this.failing.set(vm.id, failure);
    this.parts.logger[isSaid ? 'debug' : 'warn'](message, facts);
  }

  private forgetOld(): void {
    const over = this.list().filter(({ isOver }) => isOver);
    for (const job of over.slice(KEPT_REPORTS)) job.forgetReport();
    for (const job of over.slice(KEPT_JOBS)) this.jobs.delete(job.id);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

import { mkdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BatchResult, failureFor, runBatch, TIMED_OUT } from './batch.ts';
import type { ProcessLimits } from './engine.ts';
import type { Crew, Job, JobOutcome, ScanJob } from './jobs.ts';
import type { Ended } from './program.ts';
import type { CompiledRules, RuleCompiler } from './program-rules.ts';
import type { RuleFile } from './rule-files.ts';
import type { Fault } from './scanner.ts';

/** Enough that the start of a process does not show, and little enough that several share the work. */
const BATCH = { jobs: 512, weight: 64 * 1024 * 1024 };
const FAILED_STARTS = 3;
/** Longer paths are cut by yara, which reads its list line by line. */
const MAX_PATH = 1_000;

/** What goes into one batch together. */
type Portion = readonly ScanJob[];

export interface ProgramSetup {
  readonly program: string;
  readonly limits: ProcessLimits;
  readonly compiler: RuleCompiler;
  /** A private directory for lists. */
  readonly directory: string;
  readonly processes: number;
}

/**
 * Hands files to `yara` in batches. A file counts as scanned only when yara said so. When a batch runs out of
 * time, the file that it was at is tried again alone with all of its time, and the others go on; when it dies,
 * it is halved until the file that kills it is alone.
 */
export class ProgramCrew implements Crew {
  private readonly setup: ProgramSetup;
  private queue: ScanJob[] = [];
  /** What is left of batches that did not end well, not to be mixed with others. */
  private suspects: Portion[] = [];
  private rules: Promise<CompiledRules> | undefined;
  private recompile: (() => Promise<CompiledRules>) | undefined;
  private readonly running = new Map<AbortController, Set<ScanJob>>();
  private readonly work = new Set<Promise<void>>();
  private failedStarts = 0;
  private broken: string | undefined;
  private closed = false;
  private serial = 0;

  constructor(setup: ProgramSetup) {
    this.setup = setup;
  }

  faults(files: readonly RuleFile[]): Promise<ReadonlyMap<RuleFile, Fault>> {
    return this.setup.compiler.faults(files);
  }

  load(files: readonly RuleFile[]): void {
    this.recompile = () => this.setup.compiler.compiled(files);
  }

  submit(jobs: readonly ScanJob[]): void {
    this.queue.push(...jobs);
    this.pump();
  }

  withdraw(jobs: ReadonlySet<Job>): void {
    const kept = (job: ScanJob): boolean => !jobs.has(job);
    this.queue = this.queue.filter(kept);
    this.suspects = this.suspects.map((portion) => portion.filter(kept));
    for (const [abort, open] of this.running) {
      for (const job of open) if (jobs.has(job)) open.delete(job);
      if (open.size === 0) abort.abort();
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const abort of this.running.keys()) abort.abort();
    this.pump();
    await Promise.all(this.work);
    rmSync(this.setup.directory, { recursive: true, force: true });
  }

  private pump(): void {
    if (this.closed) this.refuse({ kind: 'closed' });
    else if (this.broken !== undefined) this.refuse({ kind: 'broken', detail: this.broken });
    while (this.running.size < this.setup.processes) {
      const portion = this.nextPortion();
      if (portion === undefined) return;
      const work = this.perform(portion).finally(() => {
        this.work.delete(work);
        this.pump();
      });
      this.work.add(work);
    }
  }

  private refuse(outcome: JobOutcome): void {
    const open = [...this.suspects.splice(0).flat(), ...this.queue.splice(0)];
    for (const job of open) job.settle(outcome);
  }

  /** What there is, shared out among the processes that are free. */
  private nextPortion(): Portion | undefined {
    for (let portion = this.suspects.shift(); portion; portion = this.suspects.shift()) {
      if (portion.length > 0) return portion;
    }
    if (this.queue.length === 0) return undefined;
    const free = this.setup.processes - this.running.size;
    const share = Math.min(BATCH.jobs, Math.ceil(this.queue.length / free));
    let [count, weight] = [0, 0];
    for (; count < share && weight < BATCH.weight; count++) weight += this.queue[count]?.weight ?? 0;
    return this.queue.splice(0, count);
  }

  private async perform(portion: Portion): Promise<void> {
    const jobs = portion.filter((job) => isListable(job) || !settleFailed(job, 'its path cannot be listed'));
    if (jobs.length === 0) return;
    const abort = new AbortController();
    this.running.set(abort, new Set(jobs));
    try {
      const rules = await this.compiledRules();
      if (this.closed) throw new Error('closed');
      const deadlineMs = Math.max(...jobs.map(({ deadlineMs }) => deadlineMs));
      const { program, limits, directory } = this.setup;
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const list = join(directory, `list-${++this.serial}`);
      const result = await runBatch({ program, limits, rules, jobs, deadlineMs, list, signal: abort.signal });
      await this.conclude(this.stillOpen(abort, jobs), result);
    } catch (error) {
      if (!this.closed) this.fail((error as Error).message);
      this.suspects.unshift(this.stillOpen(abort, jobs));
    } finally {
      this.running.delete(abort);
    }
  }

  /** Without those that were withdrawn. */
  private stillOpen(abort: AbortController, jobs: Portion): Portion {
    const open = this.running.get(abort);
    return jobs.filter((job) => open?.has(job));
  }

  private compiledRules(): Promise<CompiledRules> {
    if (this.recompile === undefined) throw new Error('a scan before rules were loaded');
    this.rules ??= this.recompile();
    return this.rules;
  }

  private async conclude(jobs: Portion, result: BatchResult): Promise<void> {
    const { ended, scanned, complaints } = result;
    const left = jobs.filter((job) => !settleScanned(job, scanned));
    if (scanned.size > 0) this.failedStarts = 0;
    if (left.length === 0) return;
    if (this.closed) this.suspects.unshift(left);
    else if ([...complaints.values()].includes(TIMED_OUT)) await this.timedOut(left, result);
    else if (ended.status === undefined) this.died(left, ended);
    else if (ended.status !== 0 && scanned.size + complaints.size === 0) {
      await this.didNotStart(ended.stderr);
      this.suspects.unshift(left);
    } else await Promise.all(left.map((job) => settleUnscanned(job, complaints)));
  }

  private async timedOut(left: Portion, { scanned, complaints }: BatchResult): Promise<void> {
    const {
      late = [],
      failed = [],
      untried = [],
    } = Object.groupBy(left, ({ request: { path } }) => {
      if (complaints.get(path) === TIMED_OUT) return 'late';
      return complaints.has(path) ? 'failed' : 'untried';
    });
    const hadAllTime = scanned.size + failed.length === 0;
    if (hadAllTime) for (const job of late) job.settle({ kind: 'deadline', detail: TIMED_OUT });
    else this.suspects.push(late);
    this.suspects.push(untried);
    await Promise.all(failed.map((job) => settleUnscanned(job, complaints)));
  }

  private died(left: Portion, { why = '', overdue }: Ended): void {
    const [first] = left;
    if (left.length === 1)
      first?.settle({ kind: overdue ? 'deadline' : 'died', detail: `yara was ended: ${why}` });
    else {
      const half = Math.ceil(left.length / 2);
      this.suspects.push(left.slice(0, half), left.slice(half));
    }
  }

  /** The compiled rules may have been removed or damaged: they are made again. */
  private async didNotStart(said: string): Promise<void> {
    const rules = await this.rules;
    if (rules !== undefined) await rm(rules.path, { force: true });
    this.rules = undefined;
    this.fail(said.trim() || 'yara ended without a word');
  }

  private fail(why: string): void {
    this.rules = undefined;
    this.failedStarts++;
    if (this.failedStarts >= FAILED_STARTS) this.broken ??= why;
  }
}

const isListable = ({ request: { path } }: ScanJob): boolean =>
  Buffer.byteLength(path) <= MAX_PATH && !/[\r\n\0]/.test(path);

function settleFailed(job: ScanJob, detail: string): true {
  job.settle({ kind: 'reply', reply: { told: 'failed', failure: { reason: 'engine-failed', detail } } });
  return true;
}

/** False when it was not scanned to its end. */
function settleScanned(job: ScanJob, scanned: BatchResult['scanned']): boolean {
  const matches = scanned.get(job.request.path);
  if (matches !== undefined) job.settle({ kind: 'reply', reply: { told: 'scanned', matches } });
  return matches !== undefined;
}

async function settleUnscanned(job: ScanJob, complaints: BatchResult['complaints']): Promise<void> {
  const failure = await failureFor(job.request.path, complaints.get(job.request.path));
  job.settle({ kind: 'reply', reply: { told: 'failed', failure } });
}

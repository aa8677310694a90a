import { mkdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BatchResult, failureFor, runBatch, TIMED_OUT } from './batch.ts';
import type { ProcessLimits } from './engine.ts';
import type { Crew, Job, JobOutcome, ScanJob } from './jobs.ts';
import type { Ended } from './program.ts';
import type { CompiledRules, RuleCompiler } from './program-rules.ts';
import { type PlacedFile, RuleChoice } from './rule-choice.ts';
import type { RuleFile } from './rule-files.ts';
import type { Fault, Match } from './scanner.ts';

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
  /** Jobs that go together: they need the same rules, or are what is left of a batch that did not end well. */
  private portions: Portion[] = [];
  private choice: RuleChoice | undefined;
  private readonly compiled = new Map<readonly PlacedFile[], Promise<CompiledRules>>();
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
    this.choice = new RuleChoice(files);
  }

  submit(jobs: readonly ScanJob[]): void {
    this.queue.push(...jobs);
    this.pump();
  }

  withdraw(jobs: ReadonlySet<Job>): void {
    const kept = (job: ScanJob): boolean => !jobs.has(job);
    this.queue = this.queue.filter(kept);
    this.portions = this.portions.map((portion) => portion.filter(kept));
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
    const open = [...this.portions.splice(0).flat(), ...this.queue.splice(0)];
    for (const job of open) job.settle(outcome);
  }

  /** What there is, shared out among the processes that are free. */
  private nextPortion(): Portion | undefined {
    for (let portion = this.portions.shift(); portion; portion = this.portions.shift()) {
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
    const abort = new AbortController();
    const [files, jobs] = this.choose(portion);
    this.running.set(abort, new Set(jobs));
    try {
      if (files.length === 0) for (const job of jobs) settle(job, []);
      else await this.scan(files, jobs, abort);
    } catch (error) {
      if (!this.closed) this.fail((error as Error).message);
      this.portions.unshift(this.stillOpen(abort, jobs));
    } finally {
      this.running.delete(abort);
    }
  }

  /** Those that need the same rules as the first; the others come next. */
  private choose(portion: Portion): readonly [readonly PlacedFile[], Portion] {
    if (this.choice === undefined) throw new Error('a scan before rules were loaded');
    const { choice } = this;
    const groups = Map.groupBy(portion, ({ request }) => choice.for(request.path));
    const [[files, jobs] = [[], []], ...others] = groups;
    this.portions.unshift(...others.map(([, jobs]) => jobs));
    return [files, jobs];
  }

  private async scan(files: readonly PlacedFile[], given: Portion, abort: AbortController): Promise<void> {
    const jobs = given.filter((job) => isListable(job) || !settleFailed(job, 'its path cannot be listed'));
    if (jobs.length === 0) return;
    const rules = await this.compile(files);
    if (this.closed) throw new Error('closed');
    const deadlineMs = Math.max(...jobs.map(({ deadlineMs }) => deadlineMs));
    const { program, limits, directory } = this.setup;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const list = join(directory, `list-${++this.serial}`);
    const result = await runBatch({ program, limits, rules, jobs, deadlineMs, list, signal: abort.signal });
    await this.conclude(this.stillOpen(abort, jobs), files, result);
  }

  /** Without those that were withdrawn. */
  private stillOpen(abort: AbortController, jobs: Portion): Portion {
    const open = this.running.get(abort);
    return jobs.filter((job) => open?.has(job));
  }

  private compile(files: readonly PlacedFile[]): Promise<CompiledRules> {
    const compiled = this.compiled.get(files) ?? this.setup.compiler.compiled(files);
    this.compiled.set(files, compiled);
    return compiled;
  }

  private async conclude(jobs: Portion, files: readonly PlacedFile[], result: BatchResult): Promise<void> {
    const { ended, scanned, complaints } = result;
    const left = jobs.filter((job) => !settleScanned(job, scanned, files));
    if (scanned.size > 0) this.failedStarts = 0;
    if (left.length === 0) return;
    if (this.closed) this.portions.unshift(left);
    else if ([...complaints.values()].includes(TIMED_OUT)) await this.timedOut(left, result);
    else if (ended.status === undefined) this.died(left, ended);
    else if (ended.status !== 0 && scanned.size + complaints.size === 0) {
      await this.didNotStart(files, ended.stderr);
      this.portions.unshift(left);
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
    else this.portions.push(late);
    this.portions.push(untried);
    await Promise.all(failed.map((job) => settleUnscanned(job, complaints)));
  }

  private died(left: Portion, { why = '', overdue }: Ended): void {
    const [first] = left;
    if (left.length === 1)
      first?.settle({ kind: overdue ? 'deadline' : 'died', detail: `yara was ended: ${why}` });
    else {
      const half = Math.ceil(left.length / 2);
      this.portions.push(left.slice(0, half), left.slice(half));
    }
  }

  /** The compiled rules may have been removed or damaged: they are made again. */
  private async didNotStart(files: readonly PlacedFile[], said: string): Promise<void> {
    const rules = await this.compile(files);
    await rm(rules.path, { force: true });
    this.fail(said.trim() || 'yara ended without a word');
  }

  private fail(why: string): void {
    this.compiled.clear();
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

function settle(job: ScanJob, matches: readonly Match[]): void {
  job.settle({ kind: 'reply', reply: { told: 'scanned', matches } });
}

/** False when it was not scanned to its end. `files`: those that the batch was scanned with. */
function settleScanned(job: ScanJob, scanned: BatchResult['scanned'], files: readonly PlacedFile[]): boolean {
  const matches = scanned.get(job.request.path);
  if (matches !== undefined)
    settle(
      job,
      matches.map(({ rule, file }) => ({ rule, file: files[file]?.place ?? -1 })),
    );
  return matches !== undefined;
}

async function settleUnscanned(job: ScanJob, complaints: BatchResult['complaints']): Promise<void> {
  const failure = await failureFor(job.request.path, complaints.get(job.request.path));
  job.settle({ kind: 'reply', reply: { told: 'failed', failure } });
}

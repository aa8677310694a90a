import { PluginError } from 'lazaret/plugin';
import type { RunnerSource } from './engine.ts';
import type { Crew, Job, JobOutcome, ScanJob } from './jobs.ts';
import { Pool } from './pool.ts';
import type { RuleFile } from './rule-files.ts';
import type { Fault } from './scanner.ts';

/** Compiling is bounded too: rules come from outside. */
const COMPILE_DEADLINE_MS = 5 * 60_000;

/** An engine that is asked for one file after the other, in lanes. */
export class LaneCrew implements Crew {
  private readonly pool: Pool;

  constructor(source: RunnerSource, processes: number) {
    this.pool = new Pool(source, processes);
  }

  /** On all lanes. */
  async faults(files: readonly RuleFile[]): Promise<ReadonlyMap<RuleFile, Fault>> {
    const faults = new Map<RuleFile, Fault>();
    await Promise.all(
      files.map(async (file) => {
        const fault = faultFrom(await this.check(file));
        if (fault !== undefined) faults.set(file, fault);
      }),
    );
    return faults;
  }

  load(files: readonly RuleFile[], maxMatches: number): void {
    this.pool.prepare({ request: { ask: 'load', files, maxMatches }, deadlineMs: COMPILE_DEADLINE_MS });
  }

  submit(jobs: readonly ScanJob[]): void {
    this.pool.submit(jobs);
  }

  withdraw(jobs: ReadonlySet<Job>): void {
    this.pool.withdraw(jobs);
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  private check({ text, externals }: RuleFile): Promise<JobOutcome> {
    const { promise, resolve } = Promise.withResolvers<JobOutcome>();
    this.pool.submit([
      {
        request: { ask: 'check', file: { text, externals } },
        weight: text.length,
        deadlineMs: COMPILE_DEADLINE_MS,
        settle: resolve,
      },
    ]);
    return promise;
  }
}

function faultFrom(outcome: JobOutcome): Fault | undefined {
  switch (outcome.kind) {
    case 'reply':
      if (outcome.reply.told !== 'checked')
        throw new PluginError('engine-failed', 'a check was not answered');
      return outcome.reply.fault;
    case 'deadline':
      return { message: 'takes too long to compile' };
    case 'died':
      return { message: `ends the compiler: ${outcome.detail}` };
    case 'broken':
      throw new PluginError('engine-failed', `the engine does not start: ${outcome.detail}`);
    case 'closed':
      throw new PluginError('engine-failed', 'closed while rules were compiled');
  }
}

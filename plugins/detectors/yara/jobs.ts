import type { RuleFile } from './rule-files.ts';
import type { Fault, Reply, Request } from './scanner.ts';

/** What became of a job. `broken`: the engine does not start any more. `closed`: it was closed. */
export type JobOutcome =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'deadline' | 'died' | 'broken'; readonly detail: string }
  | { readonly kind: 'closed' };

export interface Job {
  readonly request: Request;
  /** Bytes to work on, about. */
  readonly weight: number;
  readonly deadlineMs: number;
  /** Called once, unless the job was withdrawn. */
  readonly settle: (outcome: JobOutcome) => void;
}

export type ScanJob = Job & { readonly request: Extract<Request, { ask: 'scan' }> };

/** An engine at work, in however many processes or workers. */
export interface Crew {
  /** Compiles files, each alone; those that cannot be used. Throws PluginError `engine-failed`. */
  faults(files: readonly RuleFile[]): Promise<ReadonlyMap<RuleFile, Fault>>;
  /** Compiles the files, which have no faults, while jobs may be submitted already. Called once. */
  load(files: readonly RuleFile[], maxMatches: number): void;
  submit(jobs: readonly ScanJob[]): void;
  /** Takes jobs back; of those that are being worked on the outcome may still come. */
  withdraw(jobs: ReadonlySet<Job>): void;
  /** Ends all processes; resolves when they are gone. Jobs that are open are settled as `closed`. */
  close(): Promise<void>;
}

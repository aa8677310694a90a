/** One run of `yara` over a list of files, and what became of each. */
import { rm, stat, writeFile } from 'node:fs/promises';
import type { ProcessLimits } from './engine.ts';
import type { ScanJob } from './jobs.ts';
import { Lines } from './lines.ts';
import { type Ended, type Run, run } from './program.ts';
import { parseLine } from './program-output.ts';
import type { CompiledRules } from './program-rules.ts';
import type { Failure, Match } from './scanner.ts';

export interface BatchResult {
  readonly ended: Ended;
  /** By path, the files that were scanned to their end. */
  readonly scanned: ReadonlyMap<string, readonly Match[]>;
  /** By path, what yara said of those that it could not scan. */
  readonly complaints: ReadonlyMap<string, string>;
}

/** Besides the time that the files may take: to start, and to end by itself. */
const GRACE_MS = 5_000;
const COMPLAINT = /^error scanning (?<path>.+): (?<text>[^:\n]+)$/gm;
export const TIMED_OUT = 'scanning timed out';

export interface BatchRun {
  readonly program: string;
  readonly limits: ProcessLimits;
  readonly rules: CompiledRules;
  readonly jobs: readonly ScanJob[];
  /** For the whole batch. */
  readonly deadlineMs: number;
  /** A file that can be written and removed. */
  readonly list: string;
  readonly signal: AbortSignal;
}

/** One thread, so that files are scanned in the order of the list. */
export async function runBatch(batch: BatchRun): Promise<BatchResult> {
  const { rules, list, signal } = batch;
  const paths = [...new Set(batch.jobs.map(({ request }) => request.path))];
  await writeFile(list, `${paths.join('\n')}\n`, { mode: 0o600 });
  const matches = new Map<string, Map<string, Match>>(paths.map((path) => [path, new Map()]));
  const scanned = new Map<string, readonly Match[]>();
  const take = (line: string): void => {
    const said = parseLine(line, rules.secret);
    const known = said && matches.get(said.path);
    if (known === undefined) return;
    if (said?.match) known.set(`${said.match.file} ${said.match.rule}`, said.match);
    else scanned.set(said?.path ?? '', [...known.values()]);
  };
  const lines = new Lines();
  const seconds = Math.ceil(batch.deadlineMs / 1000);
  const settings: Run = {
    args: ['-C', '-w', '-e', '-p', '1', '-a', String(seconds), '--scan-list', rules.path, list],
    deadlineMs: seconds * 1000 + GRACE_MS,
    signal,
    onOutput: (chunk) => {
      for (const line of lines.push(chunk)) take(line);
    },
  };
  const ended = await run(batch.program, batch.limits, settings);
  await rm(list, { force: true });
  return { ended, scanned, complaints: complaintsIn(ended.stderr) };
}

function complaintsIn(stderr: string): Map<string, string> {
  return new Map(
    Array.from(stderr.matchAll(COMPLAINT), ({ groups }) => [groups?.path ?? '', groups?.text ?? '']),
  );
}

/** Why a file could not be scanned, as the system tells it. */
export async function failureFor(path: string, complaint: string | undefined): Promise<Failure> {
  try {
    const facts = await stat(path);
    if (!facts.isFile()) return { reason: 'not-regular', detail: 'it is not a regular file' };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { reason: code === 'ENOENT' ? 'vanished' : 'unreadable', detail: message };
  }
  return { reason: 'engine-failed', detail: complaint ?? 'yara did not say that it scanned the file' };
}

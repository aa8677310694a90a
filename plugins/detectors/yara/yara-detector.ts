import {
  type Answer,
  type ContentSummary,
  type Detector,
  type EngineIdentity,
  type FileFacts,
  type FileSubject,
  PluginError,
  type Prospect,
  type SignatureProblem,
  type Subject,
} from 'lazaret/plugin';
import { AnswerKeys, commonGuard } from './answer-keys.ts';
import { toDetection } from './detection.ts';
import type { Engine } from './engine.ts';
import { type Guard, mayHold, sizeGuard } from './guard.ts';
import { type Job, type JobOutcome, Pool } from './pool.ts';
import { digestRules, type RuleFile, type RuleFiles } from './rule-files.ts';

export interface ScanSettings {
  readonly deadlineMs: number;
  readonly processes: number;
  readonly maxMatches: number;
}

/** Compiling is bounded too: rules come from outside. */
const COMPILE_DEADLINE_MS = 5 * 60_000;
const NOTHING = new Uint8Array();

export class YaraDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems: readonly SignatureProblem[];
  /** So that the lanes stay busy while the last files of one call are scanned. */
  readonly concurrency: number;
  private readonly pool: Pool;
  private readonly files: readonly RuleFile[];
  private readonly deadlineMs: number;
  private readonly keys: AnswerKeys;
  /** What the size of a file must be for any rule to match. */
  private readonly sizes: Guard;
  private readonly usesFacts: boolean;

  private constructor(
    pool: Pool,
    engine: Engine,
    files: readonly RuleFile[],
    problems: readonly SignatureProblem[],
    { deadlineMs, processes, maxMatches }: ScanSettings,
  ) {
    this.pool = pool;
    this.files = files;
    this.problems = problems;
    this.deadlineMs = deadlineMs;
    this.concurrency = processes * 2;
    this.keys = new AnswerKeys(`${engine.version}/${maxMatches}`, files);
    this.sizes = sizeGuard(commonGuard(files));
    this.usesFacts = files.some(({ externals }) => externals.length > 0);
    this.engine = {
      name: 'yara',
      version: engine.version,
      signatures: `${digestRules(files)}/${maxMatches}`,
      signatureCount: files.reduce((count, { rules }) => count + rules.length, 0),
    };
    pool.prepare({ request: { ask: 'load', files, maxMatches }, deadlineMs: COMPILE_DEADLINE_MS });
  }

  /** Starts the engine and compiles each rule file by itself; the whole is then compiled while the scan begins. */
  static async open(engine: Engine, rules: RuleFiles, settings: ScanSettings): Promise<YaraDetector> {
    const pool = new Pool(engine, settings.processes);
    try {
      const faulty = await findFaults(pool, rules.files);
      const sound = rules.files.filter((file) => !faulty.has(file));
      const problems = [...rules.problems, ...faulty.values()];
      if (!sound.some((file) => file.rules.length > 0)) throw noRules(problems);
      return new YaraDetector(pool, engine, sound, problems, settings);
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  wants(prospect: Prospect): boolean {
    return prospect.kind === 'file' && mayHold(this.sizes, { size: prospect.facts.size, head: NOTHING });
  }

  answerKey(file: FileFacts, content: ContentSummary): string {
    return this.keys.keyFor(file, content);
  }

  async *detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    const open = new Map<Job, FileSubject>();
    const outcomes: [FileSubject, JobOutcome][] = [];
    let news = Promise.withResolvers<void>();
    for (const subject of subjects) {
      if (subject.kind !== 'file') {
        yield { subject: subject.id, detections: [] };
        continue;
      }
      const job = this.scanJob(subject, (outcome) => {
        open.delete(job);
        outcomes.push([subject, outcome]);
        news.resolve();
      });
      open.set(job, subject);
    }
    const onAbort = (): void => news.resolve();
    signal.addEventListener('abort', onAbort);
    try {
      if (!signal.aborted) this.pool.submit([...open.keys()]);
      for (;;) {
        for (const [subject, outcome] of outcomes.splice(0)) yield this.answer(subject, outcome);
        if (outcomes.length > 0) continue;
        if (open.size === 0 || signal.aborted) break;
        await news.promise;
        news = Promise.withResolvers();
      }
      for (const { id } of open.values()) yield { subject: id, unscanned: 'cancelled' };
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.pool.withdraw(new Set(open.keys()));
    }
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  private scanJob({ content, size, facts: { path, uid } }: FileSubject, settle: Job['settle']): Job {
    const facts = this.usesFacts ? { facts: { path, uid } } : {};
    const request = { ask: 'scan', path: content, ...facts } as const;
    return { request, weight: size, deadlineMs: this.deadlineMs, settle };
  }

  private answer({ id }: FileSubject, outcome: JobOutcome): Answer {
    switch (outcome.kind) {
      case 'reply':
        return this.fromReply(id, outcome);
      case 'deadline':
        return {
          subject: id,
          unscanned: 'deadline',
          detail: `not scanned within ${this.deadlineMs / 1000} s`,
        };
      case 'died':
        return { subject: id, unscanned: 'engine-failed', detail: outcome.detail };
      case 'closed':
        return { subject: id, unscanned: 'cancelled' };
      case 'broken':
        throw new PluginError('engine-failed', `the engine does not start: ${outcome.detail}`);
    }
  }

  private fromReply(subject: string, { reply }: Extract<JobOutcome, { kind: 'reply' }>): Answer {
    switch (reply.told) {
      case 'scanned':
        return {
          subject,
          detections: reply.matches.map((match) => toDetection(match, this.files[match.file]?.name ?? '')),
        };
      case 'failed':
        return { subject, unscanned: reply.failure.reason, detail: reply.failure.detail };
      default:
        throw new PluginError('engine-failed', `the engine answered "${reply.told}" to a scan`);
    }
  }
}

/** Compiles every file alone, on all lanes. */
async function findFaults(pool: Pool, files: readonly RuleFile[]): Promise<Map<RuleFile, SignatureProblem>> {
  const faulty = new Map<RuleFile, SignatureProblem>();
  await Promise.all(
    files.map(async (file) => {
      const problem = problemOf(file, await check(pool, file));
      if (problem !== undefined) faulty.set(file, problem);
    }),
  );
  return faulty;
}

function check(pool: Pool, { text, externals }: RuleFile): Promise<JobOutcome> {
  const { promise, resolve } = Promise.withResolvers<JobOutcome>();
  pool.submit([
    {
      request: { ask: 'check', file: { text, externals } },
      weight: text.length,
      deadlineMs: COMPILE_DEADLINE_MS,
      settle: resolve,
    },
  ]);
  return promise;
}

function problemOf({ path }: RuleFile, outcome: JobOutcome): SignatureProblem | undefined {
  switch (outcome.kind) {
    case 'reply':
      if (outcome.reply.told !== 'checked')
        throw new PluginError('engine-failed', 'a check was not answered');
      return outcome.reply.fault && { file: path, ...outcome.reply.fault };
    case 'deadline':
      return { file: path, message: 'takes too long to compile' };
    case 'died':
      return { file: path, message: `ends the compiler: ${outcome.detail}` };
    case 'broken':
      throw new PluginError('engine-failed', `the engine does not start: ${outcome.detail}`);
    case 'closed':
      throw new PluginError('engine-failed', 'closed while rules were compiled');
  }
}

function noRules(problems: readonly SignatureProblem[]): PluginError {
  const [first] = problems;
  const why =
    first && `; the first of ${problems.length}: ${first.file}:${first.line ?? 1}: ${first.message}`;
  return new PluginError(
    'bad-signatures',
    `no YARA rule can be used${why ?? ': name files with rules under "rules"'}`,
  );
}

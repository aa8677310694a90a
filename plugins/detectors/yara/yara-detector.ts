import {
  type Answer,
  type ContentSummary,
  type Detection,
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
import type { Crew, JobOutcome, ScanJob } from './jobs.ts';
import { MetadataIndex } from './metadata.ts';
import { digestRules, type RuleFile, type RuleFiles } from './rule-files.ts';
import type { Match } from './scanner.ts';

export interface ScanSettings {
  readonly deadlineMs: number;
  readonly processes: number;
  readonly maxMatches: number;
}

const NOTHING = new Uint8Array();

export class YaraDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems: readonly SignatureProblem[];
  /** So that the lanes stay busy while the last files of one call are scanned. */
  readonly concurrency: number;
  private readonly crew: Crew;
  private readonly files: readonly RuleFile[];
  private readonly deadlineMs: number;
  private readonly metadata = new MetadataIndex();
  private readonly keys: AnswerKeys;
  /** What the size of a file must be for any rule to match. */
  private readonly sizes: Guard;
  private readonly usesFacts: boolean;

  private constructor(
    crew: Crew,
    engine: Engine,
    files: readonly RuleFile[],
    problems: readonly SignatureProblem[],
    { deadlineMs, processes, maxMatches }: ScanSettings,
  ) {
    this.crew = crew;
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
    crew.load(files, maxMatches);
  }

  /** Starts the engine and compiles each rule file by itself; the whole is then compiled while the scan begins. */
  static async open(engine: Engine, rules: RuleFiles, settings: ScanSettings): Promise<YaraDetector> {
    const crew = engine.open(settings.processes);
    try {
      const faults = await crew.faults(rules.files);
      const sound = rules.files.filter((file) => !faults.has(file));
      const faulty = Array.from(faults, ([{ path }, fault]) => ({ file: path, ...fault }));
      const problems = [...rules.problems, ...faulty];
      if (!sound.some((file) => file.rules.length > 0)) throw noRules(problems);
      return new YaraDetector(crew, engine, sound, problems, settings);
    } catch (error) {
      await crew.close();
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
    const open = new Map<ScanJob, FileSubject>();
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
      if (!signal.aborted) this.crew.submit([...open.keys()]);
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
      this.crew.withdraw(new Set(open.keys()));
    }
  }

  close(): Promise<void> {
    return this.crew.close();
  }

  private scanJob({ content, size, facts: { path, uid } }: FileSubject, settle: ScanJob['settle']): ScanJob {
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
        return { subject, detections: reply.matches.map((match) => this.detectionFor(match)) };
      case 'failed':
        return { subject, unscanned: reply.failure.reason, detail: reply.failure.detail };
      default:
        throw new PluginError('engine-failed', `the engine answered "${reply.told}" to a scan`);
    }
  }

  private detectionFor({ rule, file: place }: Match): Detection {
    const file = this.files[place];
    if (file === undefined) throw new PluginError('engine-failed', `the rule ${rule} is of no loaded file`);
    return toDetection(rule, file.name, this.metadata.of(file, rule));
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

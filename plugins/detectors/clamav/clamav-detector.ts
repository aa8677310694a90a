import { createReadStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import type {
  Answer,
  Detection,
  Detector,
  EngineIdentity,
  FileSubject,
  Logger,
  Prospect,
  SignatureProblem,
  Subject,
  UnscannedReason,
} from 'lazaret/plugin';
import { parseScan, type ScanAnswer } from './answer.ts';
import { asTheyCome } from './as-they-come.ts';
import type { Clamd } from './clamd.ts';
import { ClamdError } from './clamd-error.ts';
import type { Known, Survey } from './survey.ts';

export interface ScanSettings {
  /** Larger contents are not handed to clamd. */
  readonly maxFileBytes: number;
  /** Names that begin so are suspicious, all others malicious. */
  readonly suspicious: readonly string[];
}

const CHUNK_BYTES = 256 * 1024;
const NAME_LENGTH = 200;
/** So that clamd always has something to do while one batch ends and another begins. */
const BATCHES_AT_ONCE = 3;

export class ClamavDetector implements Detector {
  readonly concurrency = BATCHES_AT_ONCE;
  private readonly clamd: Clamd;
  private readonly survey: Survey;
  private readonly settings: ScanSettings;
  private readonly logger: Logger;
  private readonly setUpProblems: readonly SignatureProblem[];
  /** clamd may not read the spool; found out by its first answer. */
  private sendsContent = false;

  constructor(
    clamd: Clamd,
    survey: Survey,
    settings: ScanSettings,
    logger: Logger,
    problems: readonly SignatureProblem[],
  ) {
    this.clamd = clamd;
    this.survey = survey;
    this.settings = settings;
    this.logger = logger;
    this.setUpProblems = problems;
  }

  get engine(): EngineIdentity {
    const { known } = this.survey;
    if (known === undefined) {
      return { name: 'clamav', version: 'unknown', signatures: 'unknown', signatureCount: 0 };
    }
    const { signatures, signatureCount } = known;
    return { name: 'clamav', version: displayVersion(known), signatures, signatureCount };
  }

  get problems(): readonly SignatureProblem[] {
    const { known, fault } = this.survey;
    const file = this.clamd.socket;
    if (fault !== undefined) return [...this.setUpProblems, { file, message: fault.message }];
    if (known?.tellsLimits === false) return [...this.setUpProblems, { file, message: HIDES_LIMITS }];
    return this.setUpProblems;
  }

  wants(prospect: Prospect): boolean {
    return prospect.kind === 'file';
  }

  async *detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    const left = new AbortController();
    const either = AbortSignal.any([signal, left.signal]);
    try {
      await Promise.race([this.survey.refresh(), aborted(either)]);
      yield* asTheyCome(subjects.map((subject) => this.answer(subject, either)));
    } finally {
      left.abort();
    }
  }

  async close(): Promise<void> {
    this.survey.close();
    this.clamd.close();
    await this.survey.placed?.leave();
  }

  /** Does not reject. */
  private async answer(subject: Subject, signal: AbortSignal): Promise<Answer> {
    if (subject.kind !== 'file') return { subject: subject.id, detections: [] };
    const { id, size } = subject;
    const { maxFileBytes } = this.settings;
    if (signal.aborted) return { subject: id, unscanned: 'cancelled' };
    if (size > maxFileBytes) return beyond(id, `larger than the ${maxFileBytes} bytes that clamd takes`);
    try {
      return await this.judge(id, await this.scan(subject, signal));
    } catch (error) {
      if (signal.aborted) return { subject: id, unscanned: 'cancelled' };
      return { subject: id, unscanned: reasonOf(error), detail: error instanceof Error ? error.message : '' };
    }
  }

  /** By its path, or, where clamd cannot read it there, by sending it. */
  private async scan({ content }: FileSubject, signal: AbortSignal): Promise<ScanAnswer> {
    if (!this.sendsContent) {
      const answer = parseScan(await this.clamd.ask({ command: `SCAN ${content}` }, signal), content);
      if (answer.told !== 'no-access') return answer;
      await access(content, constants.R_OK).catch((cause: unknown) => {
        throw new ClamdError('unreadable', 'the content is not there any more', { cause });
      });
      if (!this.sendsContent)
        this.logger.warn(`contents are sent to clamd, as it cannot read them: ${answer.message}`);
      this.sendsContent = true;
    }
    const send = () => createReadStream(content, { highWaterMark: CHUNK_BYTES });
    return parseScan(await this.clamd.ask({ command: 'INSTREAM', content: send }, signal), 'stream');
  }

  private async judge(subject: string, answer: ScanAnswer): Promise<Answer> {
    // Whoever answered may be a clamd that was started meanwhile.
    await this.survey.refresh();
    const { known, fault } = this.survey;
    switch (answer.told) {
      case 'found':
        return { subject, detections: [this.toDetection(answer, known)] };
      case 'limit':
        return beyond(subject, `clamd stopped at its limit ${answer.name}`);
      case 'no-access':
      case 'error':
        return { subject, unscanned: 'engine-failed', detail: `clamd: ${answer.message}` };
      case 'ok':
        if (known?.tellsLimits) return { subject, detections: [] };
        if (known) return beyond(subject, HIDES_LIMITS);
        throw fault ?? new ClamdError('lost', 'clamd went away');
    }
  }

  private toDetection(
    { name, unofficial }: Extract<ScanAnswer, { told: 'found' }>,
    known?: Known,
  ): Detection {
    const version = known === undefined ? 'ClamAV' : `ClamAV ${displayVersion(known)}`;
    const source = unofficial ? 'an unofficial database' : 'the database of ClamAV';
    return {
      judgement: this.settings.suspicious.some((prefix) => name.startsWith(prefix))
        ? 'suspicious'
        : 'malicious',
      name: name.slice(0, NAME_LENGTH),
      source,
      description: `Found by ${version} with a signature in ${source}`,
    };
  }
}

export const HIDES_LIMITS =
  'this clamd says OK to what exceeds its limits, so its OK proves nothing: set AlertExceedsMax yes in clamd.conf and restart it';

/** `1.4.6`, or `1.4.6, database 27800 of Tue Nov 24 08:25:12 2026`. */
export function displayVersion({ version: { engine, database } }: Known): string {
  return database ? `${engine}, database ${database.version} of ${database.date}` : engine;
}

const beyond = (subject: string, detail: string): Answer => ({ subject, unscanned: 'engine-limit', detail });

function reasonOf(error: unknown): UnscannedReason {
  if (!(error instanceof ClamdError)) return 'engine-failed';
  if (error.code === 'deadline' || error.code === 'cancelled') return error.code;
  return error.code === 'unreadable' ? 'unreadable' : 'engine-failed';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

import { createHash } from 'node:crypto';
import type {
  Answer,
  Detection,
  Detector,
  EngineIdentity,
  FileFacts,
  ProcessSubject,
  Prospect,
  SignatureProblem,
  Subject,
} from 'lazaret/plugin';
import { FileIndicators } from './file-indicators.ts';
import type { Indicator, Indicators } from './indicators.ts';

/** Knows files by path, name or hash and processes by name or command line. No content is read. */
export class IocDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems: readonly SignatureProblem[];
  readonly reads = 'digests';
  readonly concurrency = 1;
  private readonly files: FileIndicators;
  private readonly processes: readonly Indicator[];

  constructor(version: string, read: readonly Indicators[]) {
    const indicators = read.flatMap((each) => each.indicators);
    this.problems = read.flatMap(({ problems }) => problems);
    this.files = new FileIndicators(indicators);
    this.processes = indicators.filter(({ type }) => type === 'process-name' || type === 'command-line');
    this.engine = {
      name: 'ioc',
      version,
      signatures: createHash('sha256').update(JSON.stringify(indicators)).digest('hex'),
      signatureCount: indicators.length,
    };
  }

  wants(prospect: Prospect): boolean {
    if (prospect.kind === 'process') return this.processes.length > 0;
    return this.files.hasHashes || this.files.byPath(prospect.facts.path).length > 0;
  }

  /** Equal contents are told apart by the indicators that know their paths, not by the paths themselves. */
  answerKey({ path }: FileFacts): string {
    const known = this.files.byPath(path).map(({ type, value }) => `${type} ${value}`);
    return JSON.stringify([this.engine.version, this.engine.signatures, ...known]);
  }

  async *detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    for (const subject of subjects) {
      if (signal.aborted) yield { subject: subject.id, unscanned: 'cancelled' };
      else yield { subject: subject.id, detections: this.known(subject).map(toDetection) };
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private known(subject: Subject): readonly Indicator[] {
    if (subject.kind === 'process') return this.processes.filter(knower(subject));
    return [...this.files.byHash(subject.digests.sha256), ...this.files.byPath(subject.facts.path)];
  }
}

/** The kernel cuts a process's name after 15 bytes; its program's name is whole. */
function knower({ name, commandLine, executable }: ProcessSubject): (indicator: Indicator) => boolean {
  const names = [name, executable?.path.split('/').at(-1)];
  const line = commandLine.join(' ');
  return ({ type, value }) => (type === 'command-line' ? line.includes(value) : names.includes(value));
}

const toDetection = ({ type: _, value: __, ...detection }: Indicator): Detection => detection;

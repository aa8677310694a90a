import type {
  Answer,
  Detection,
  Detector,
  EngineIdentity,
  ProcessSubject,
  Prospect,
  SignatureProblem,
  Subject,
} from 'lazaret/plugin';

const NAME_LENGTH = 200;

/** The identity says which reasons there are: a kept verdict must not outlive a change of them. */
const REASONS = {
  inMemory: {
    judgement: 'suspicious',
    name: 'executable-in-memory-only',
    description: 'The process runs a program that never was a file',
    attack: ['T1620'],
  },
  deleted: {
    judgement: 'suspicious',
    name: 'executable-deleted',
    description: 'The process runs a program whose file was deleted',
    attack: ['T1070.004'],
  },
} as const satisfies Record<string, Detection>;

/** Judges a process by where its program came from and what was found in it. */
export class ProcessOriginDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems: readonly SignatureProblem[] = [];
  readonly concurrency = 1;

  constructor(version: string) {
    // Three: the two above, and the malicious program.
    this.engine = { name: 'process-origin', version, signatures: version, signatureCount: 3 };
  }

  wants(prospect: Prospect): boolean {
    return prospect.kind === 'process';
  }

  async *detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    for (const subject of subjects) {
      if (signal.aborted) yield { subject: subject.id, unscanned: 'cancelled' };
      else yield { subject: subject.id, detections: subject.kind === 'process' ? judge(subject) : [] };
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** What can be said of a process; of one without an executable (a kernel thread, a zombie) nothing. */
export function judge({ executable }: ProcessSubject): Detection[] {
  if (executable === undefined) return [];
  const detections: Detection[] = [];
  if (executable.inMemory) detections.push(REASONS.inMemory);
  else if (executable.deleted) detections.push(REASONS.deleted);
  const malicious = executable.detections?.find(({ judgement }) => judgement === 'malicious');
  if (malicious !== undefined) detections.push(runs(malicious));
  return detections;
}

const runs = ({ name, attack }: Detection): Detection => ({
  judgement: 'malicious',
  name: `runs ${name}`.slice(0, NAME_LENGTH),
  description: 'The process runs a program that was found to be malicious',
  ...(attack === undefined ? {} : { attack }),
});

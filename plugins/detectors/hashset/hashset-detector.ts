import type {
  Answer,
  Detection,
  Detector,
  DigestName,
  EngineIdentity,
  FileSubject,
  Prospect,
  SignatureProblem,
  Subject,
} from 'lazaret/plugin';
import type { HashIndex, Match } from './hash-index.ts';

/**
 * Looks contents up in an index of known hashes. The host computes the hashes; the files themselves are not read.
 * An answer depends on the index as a whole: asking again costs microseconds, and no content is fetched for it.
 */
export class HashsetDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems: readonly SignatureProblem[];
  readonly digests: readonly DigestName[];
  readonly reads = 'digests';
  readonly concurrency = 1;
  private readonly index: HashIndex;
  private readonly algorithms: readonly DigestName[];

  constructor(version: string, index: HashIndex) {
    const { digest, count, algorithms, problems } = index.contents;
    this.index = index;
    this.algorithms = algorithms;
    this.problems = problems;
    this.digests = algorithms.filter((algorithm) => algorithm !== 'sha256');
    this.engine = { name: 'hashset', version, signatures: digest, signatureCount: count };
  }

  wants(prospect: Prospect): boolean {
    return prospect.kind === 'file';
  }

  async *detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    for (const subject of subjects) {
      if (signal.aborted) yield { subject: subject.id, unscanned: 'cancelled' };
      else if (subject.kind === 'file') yield this.lookUp(subject);
      else yield { subject: subject.id, detections: [] };
    }
  }

  close(): Promise<void> {
    this.index.close();
    return Promise.resolve();
  }

  private lookUp({ id, digests, size }: FileSubject): Answer {
    const detections: Detection[] = [];
    for (const algorithm of this.algorithms) {
      const hash = digests[algorithm];
      if (hash === undefined) {
        return { subject: id, unscanned: 'engine-failed', detail: `there is no ${algorithm}` };
      }
      for (const match of this.index.find(algorithm, hash, size)) {
        detections.push(toDetection(algorithm, hash, match));
      }
    }
    return { subject: id, detections };
  }
}

const toDetection = (algorithm: DigestName, hash: string, { name, source, judgement }: Match): Detection => ({
  judgement,
  name: name || `${algorithm}:${hash}`,
  source,
  description: `The content's ${algorithm.toUpperCase()} is on the list ${source}`,
});

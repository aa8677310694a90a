import { createHash } from 'node:crypto';
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
import type { HashList, ListedHash } from './hash-list.ts';

const NAME_LENGTH = 200;

interface Entry extends ListedHash {
  readonly source: string;
}

/** Looks contents up in lists of known hashes. The host computes the hashes; the files themselves are not read. */
export class HashsetDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems: readonly SignatureProblem[];
  readonly digests: readonly DigestName[];
  readonly concurrency = 1;
  /** The first entry for each hash. Algorithms differ in length, so one map serves all. */
  private readonly entries = new Map<string, Entry>();

  constructor(version: string, lists: readonly (HashList & { readonly source: string })[]) {
    for (const { hashes, source } of lists) {
      for (const listed of hashes) {
        if (!this.entries.has(listed.hash)) this.entries.set(listed.hash, { ...listed, source });
      }
    }
    this.problems = lists.flatMap(({ problems }) => problems);
    this.digests = [...new Set([...this.entries.values()].map(({ algorithm }) => algorithm))].filter(
      (algorithm) => algorithm !== 'sha256',
    );
    this.engine = {
      name: 'hashset',
      version,
      signatures: digest(this.entries),
      signatureCount: this.entries.size,
    };
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
    return Promise.resolve();
  }

  private lookUp({ id, digests }: FileSubject): Answer {
    const missing = this.digests.find((name) => digests[name] === undefined);
    if (missing !== undefined)
      return { subject: id, unscanned: 'engine-failed', detail: `there is no ${missing}` };
    const found = Object.values(digests).flatMap((hash) => this.entries.get(hash) ?? []);
    return { subject: id, detections: found.map(toDetection) };
  }
}

const toDetection = ({ algorithm, hash, name, source }: Entry): Detection => ({
  judgement: 'malicious',
  name: (name ?? `${algorithm}:${hash}`).slice(0, NAME_LENGTH),
  source,
  description: `The content's ${algorithm.toUpperCase()} is on the list ${source}`,
});

function digest(entries: ReadonlyMap<string, Entry>): string {
  const sum = createHash('sha256');
  for (const { hash, name = '', source } of entries.values()) sum.update(`${hash}\0${name}\0${source}\0`);
  return sum.digest('hex');
}

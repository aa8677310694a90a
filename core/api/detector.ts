import type { Answer, ContentSummary, DigestName, FileFacts, Prospect, Subject } from './subject.ts';

/** Names the engine and everything that its answers depend on; part of the key of every kept verdict. */
export interface EngineIdentity {
  readonly name: string;
  readonly version: string;
  /** Changes whenever the signatures do; a digest of them. */
  readonly signatures: string;
  /** How many signatures are active. */
  readonly signatureCount: number;
}

/** A signature that was left out, and why. The scan goes on without it and its exit code says so. */
export interface SignatureProblem {
  readonly file: string;
  readonly line?: number;
  readonly message: string;
}

export interface Detector {
  readonly engine: EngineIdentity;
  readonly problems: readonly SignatureProblem[];
  /** Digests besides SHA-256 that `detect` needs. */
  readonly digests?: readonly DigestName[];
  /** What `detect` needs of a file. `digests`: `FileSubject.content` then need not name a file. Default: `content`. */
  readonly reads?: 'content' | 'digests';
  /** How many calls of `detect` may be under way at once. */
  readonly concurrency: number;
  /** Whether this detector looks at such a subject. Asked before anything is fetched, so that nothing is fetched for nobody. */
  wants(prospect: Prospect): boolean;
  /**
   * Everything besides the content itself that the answer for a file depends on: engine, those of the
   * signatures that could match such a content, and facts of the file where signatures ask for them. Equal
   * content with an equal key is judged once, in any guest, and kept. Default: `engine` as a whole.
   */
  answerKey?(file: FileFacts, content: ContentSummary): string;
  /**
   * Answers for each subject once, in any order, as answers come. A subject without an answer counts as
   * `no-answer`; a thrown error as `engine-failed` for the subjects that are still open. Ends soon
   * after `signal` is aborted.
   */
  detect(subjects: readonly Subject[], signal: AbortSignal): AsyncIterable<Answer>;
  /** Ends processes and workers. */
  close(): Promise<void>;
}

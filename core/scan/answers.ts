/**
 * Answers about contents that need not be given again. Clean ones are kept, in the state directory where
 * policy lets them be. Any answer is shared while it is under way, and one that is not clean also for a while
 * after, by all scans at the same time: equal contents in many guests are judged once. An answer that ended
 * without a result is nobody's but its asker's.
 */
import type { Answer, ContentSummary } from '../api/index.ts';
import type { KnownContent } from '../store/known-contents.ts';

/** Clean answers about contents. */
export interface CleanAnswers {
  /** What is kept of the contents with these SHA-256s. */
  find(sha256s: readonly string[]): ReadonlyMap<string, KnownContent>;
  keep(content: ContentSummary, answers: readonly string[]): void;
}

export const isFinished = (answer: Answer): answer is Extract<Answer, { detections: unknown }> =>
  'detections' in answer;

/** Nothing was found in it, and nothing has to be looked up because of it: it can stand for the content. */
export const isClean = (answer: Answer): boolean =>
  isFinished(answer) && answer.detections.length === 0 && (answer.starts?.length ?? 0) === 0;

/** Contents of which this many are held in memory where they are not written down. */
const HELD_CONTENTS = 50_000;

/** Clean answers of this process alone; `alsoTo` is told of them too. */
export class HeldAnswers implements CleanAnswers {
  private readonly contents = new Map<string, KnownContent>();
  private readonly alsoTo: CleanAnswers | undefined;

  constructor(alsoTo?: CleanAnswers) {
    this.alsoTo = alsoTo;
  }

  find(): ReadonlyMap<string, KnownContent> {
    return this.contents;
  }

  keep(content: ContentSummary, answers: readonly string[]): void {
    add(this.contents, content, answers);
    forgetOldest(this.contents, HELD_CONTENTS);
    this.alsoTo?.keep(content, answers);
  }
}

/** Adds clean answers to what is held of a content, which becomes the newest. */
export function add(
  contents: Map<string, KnownContent>,
  { size, head, digests }: ContentSummary,
  answers: readonly string[],
): void {
  const { sha256 } = digests;
  const held = contents.get(sha256);
  contents.delete(sha256);
  contents.set(sha256, { size, head, digests, answers: new Set([...answers, ...(held?.answers ?? [])]) });
}

/** Answers that were not clean and are still shared. */
const SHARED_ANSWERS = 10_000;

/** Answers under way, by content and question, and those just given in which something was found. */
export class SharedAnswers {
  /** Bounded by the batches of all scans that are being judged. */
  private readonly underWay = new Map<string, Promise<Answer>>();
  private readonly found = new Map<string, Promise<Answer>>();

  /** Undefined when nobody is asking. */
  find(key: string): Promise<Answer> | undefined {
    return this.underWay.get(key) ?? this.found.get(key);
  }

  /** `answer` does not reject. A clean answer must have been kept when it resolves. */
  share(key: string, answer: Promise<Answer>): void {
    this.underWay.set(key, answer);
    void answer.then((given) => {
      this.underWay.delete(key);
      if (!isFinished(given) || isClean(given)) return;
      this.found.set(key, answer);
      forgetOldest(this.found, SHARED_ANSWERS);
    });
  }
}

export function forgetOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

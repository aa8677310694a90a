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

/** Contents of which this many are held in memory where they are not written down, each with so many answers. */
const HELD_CONTENTS = 10_000;
const HELD_ANSWERS = 32;

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
  const all = [...answers, ...(held?.answers ?? [])];
  contents.set(sha256, { size, head, digests, answers: new Set(all.slice(0, HELD_ANSWERS)) });
}

/** Answers that were not clean and are still shared: a guest decides how much is found in a content, and what it starts. */
const SHARED_ANSWERS = 10_000;
const SHARED_CHARACTERS = 2 * 1024 * 1024;
/** What an answer, and each statement in it, takes besides its text, told in characters. */
const OVERHEAD = 200;

/** Answers under way, by content and question, and those just given in which something was found. */
export class SharedAnswers {
  /** Bounded by the batches of all scans that are being judged. */
  private readonly underWay = new Map<string, Promise<Answer>>();
  private readonly found = new Map<
    string,
    { readonly answer: Promise<Answer>; readonly characters: number }
  >();
  private characters = 0;

  /** Undefined when nobody is asking. */
  find(key: string): Promise<Answer> | undefined {
    return this.underWay.get(key) ?? this.found.get(key)?.answer;
  }

  /** `answer` does not reject. A clean answer must have been kept when it resolves. */
  share(key: string, answer: Promise<Answer>): void {
    this.underWay.set(key, answer);
    void answer.then((given) => {
      this.underWay.delete(key);
      if (!isFinished(given) || isClean(given)) return;
      this.keep(key, answer, charactersOf(given));
    });
  }

  private keep(key: string, answer: Promise<Answer>, characters: number): void {
    this.forget(key);
    this.found.set(key, { answer, characters });
    this.characters += characters;
    for (const oldest of this.found.keys()) {
      if (this.found.size <= SHARED_ANSWERS && this.characters <= SHARED_CHARACTERS) return;
      this.forget(oldest);
    }
  }

  private forget(key: string): void {
    this.characters -= this.found.get(key)?.characters ?? 0;
    this.found.delete(key);
  }
}

function charactersOf({ detections, starts = [] }: Extract<Answer, { detections: unknown }>): number {
  const found = detections.reduce(
    (sum, { name, source = '', description = '' }) =>
      sum + OVERHEAD + name.length + source.length + description.length,
    OVERHEAD,
  );
  return starts.reduce((sum, { path }) => sum + OVERHEAD + path.length, found);
}

export function forgetOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

/** Names what each detector's answer about a content depends on. */
import { hash } from 'node:crypto';
import type { ContentSummary, FileFacts } from '../api/index.ts';
import type { NamedDetector } from './detect.ts';

/** What one detector is asked about one content. */
export interface Question {
  readonly detector: string;
  /** 32 hex digits for the detector and its answer key: with the same content, the same answer. */
  readonly answer: string;
  /** The detector answers from digests: the content need not be there. */
  readonly readsDigests: boolean;
}

/** Keys are few and short, unless they name files: then those of the last files are kept. */
const REMEMBERED_KEYS = 10_000;
const REMEMBERED_CHARACTERS = 1024 * 1024;

export class AnswerKeys {
  private readonly detectors: ReadonlyMap<string, NamedDetector['detector']>;
  private readonly questionsByKey = new Map<string, Question>();
  private rememberedCharacters = 0;
  private readonly idsByInterest = new Map<string, readonly string[]>();

  constructor(detectors: readonly NamedDetector[]) {
    this.detectors = new Map(detectors.map(({ id, detector }) => [id, detector]));
  }

  /** One for each detector of `interest` (`Detection.interest`). */
  questions(interest: string, facts: FileFacts, content: ContentSummary): Question[] {
    return this.detectorsOf(interest).map((id) => this.question(id, facts, content));
  }

  /**
   * 16 bytes that change with any of the detectors, and with `policy`: what decides which files they are asked
   * about.
   */
  generation(policy: Readonly<Record<string, unknown>>): Buffer {
    const engines = Array.from(this.detectors, ([id, { engine, reads, digests }]) => [
      id,
      identityOf(engine),
      reads,
      digests,
    ]);
    return digestOf(JSON.stringify([engines, policy]));
  }

  private detectorsOf(interest: string): readonly string[] {
    let ids = this.idsByInterest.get(interest);
    if (!ids) {
      ids = interest.split('+').filter((id) => this.detectors.has(id));
      this.idsByInterest.set(interest, ids);
    }
    return ids;
  }

  private question(id: string, facts: FileFacts, content: ContentSummary): Question {
    const detector = this.detectors.get(id) as NamedDetector['detector'];
    const key = `${id}\0${detector.answerKey?.(facts, content) ?? identityOf(detector.engine)}`;
    const known = this.questionsByKey.get(key);
    if (known) return known;
    const readsDigests = detector.reads === 'digests';
    const question = { detector: id, answer: digestOf(key).toString('hex'), readsDigests };
    this.remember(key, question);
    return question;
  }

  private remember(key: string, question: Question): void {
    this.rememberedCharacters += key.length;
    const isTooMuch = this.rememberedCharacters > REMEMBERED_CHARACTERS;
    if (isTooMuch || this.questionsByKey.size >= REMEMBERED_KEYS) {
      this.questionsByKey.clear();
      this.rememberedCharacters = key.length;
    }
    this.questionsByKey.set(key, question);
  }
}

const identityOf = ({ name, version, signatures }: NamedDetector['detector']['engine']): string =>
  JSON.stringify([name, version, signatures]);

/** The first 16 bytes of a SHA-256. */
export const digestOf = (text: string): Buffer => hash('sha256', text, 'buffer').subarray(0, 16);

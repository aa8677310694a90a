/**
 * From fetched contents to verdicts. Equal contents are judged once: the same bytes under many names, in the
 * same batch, an earlier one, another scan or another guest, go to each detector a single time for each of its
 * answer keys. What was clean is kept; see answers.ts.
 */
import type { FileFacts as OpenedFacts } from '../../protocol/index.ts';
import type { Answer, ContentSummary, FileFacts, Start, UnscannedReason } from '../api/index.ts';
import type { AnswerKeys, Question } from './answer-keys.ts';
import { type CleanAnswers, forgetOldest, isClean, isFinished, type SharedAnswers } from './answers.ts';
import type { Asked, Detection } from './detect.ts';
import type { Fetchable, Fetched } from './fetch.ts';
import { batchedEach, parallel } from './flow.ts';
import type { Content } from './spool.ts';
import { judge, type Verdict } from './verdict.ts';

/** A content that can be fetched, with what detectors are told of the file it stands for. */
export interface ContentItem extends Fetchable {
  readonly facts: FileFacts;
  /** The detectors that want it (`Detection.interest`). */
  readonly interest: string;
}

/** An item with its verdict. `opened` is absent when it was not fetched. The taker releases `content`. */
export interface Judged<Item> {
  readonly item: Item;
  readonly verdict: Verdict;
  /** Every answer is clean and stands for the content. */
  readonly isKept: boolean;
  /** What it has the guest start by itself. */
  readonly starts: readonly Start[];
  readonly opened?: { readonly facts: OpenedFacts; readonly content: Content };
}

/** A content to be judged; without `path`, for detectors that read digests. */
export interface Judgeable {
  readonly facts: FileFacts;
  readonly interest: string;
  readonly content: ContentSummary & { readonly path?: string };
}

export interface JudgeParts {
  readonly detection: Detection;
  readonly keys: AnswerKeys;
  readonly clean: CleanAnswers;
  readonly shared: SharedAnswers;
}

/** Equal contents with equal questions, of which only those are open whose answers are not kept. */
interface Case {
  readonly subject: Judgeable;
  readonly open: readonly Question[];
  /** By detector. */
  readonly answers: Map<string, Answer>;
}

/** An answer that somebody else asked for, or that was asked for before. */
interface Awaited {
  readonly own: Case;
  readonly question: Question;
  readonly answer: Promise<Answer>;
}

/** Questions that nobody else asks, and who is to hear the answers. */
interface Fresh {
  readonly own: Case;
  readonly asked: readonly { readonly question: Question; readonly resolve: (answer: Answer) => void }[];
}

const BATCH_ITEMS = 128;
/** A batch is judged as a whole, so it must be small beside the spool (here: its largest content), or nothing would move any more. */
const BATCH_SHARE = 8;
const BATCH_BYTES = 16 * 1024 * 1024;
/** What is held of one content. */
export type Held = Pick<Judged<unknown>, 'verdict' | 'isKept' | 'starts'>;

/** Answers without a result that are not asked for again within one scan. */
const REMEMBERED_FAILURES = 2_000;

export class ContentJudge {
  private readonly parts: JudgeParts;
  private readonly width: number;
  private readonly batchBytes: number;
  private readonly failed = new Map<string, Answer>();

  constructor(parts: JudgeParts, width: number, largest: number) {
    this.parts = parts;
    this.width = width;
    this.batchBytes = Math.min(BATCH_BYTES, largest / BATCH_SHARE);
  }

  /** Verdicts in the order in which they come. */
  async *judge<Item extends ContentItem>(
    fetched: AsyncIterable<Fetched<Item>[]>,
    signal: AbortSignal,
  ): AsyncGenerator<Judged<Item>[]> {
    const batches = batchedEach(fetched, BATCH_ITEMS, this.batchBytes, weight);
    const work = (batch: Fetched<Item>[]) => this.judgeBatch(batch, signal);
    yield* parallel(batches, this.width, work);
  }

  /** For each subject, in their order, what its detectors hold of it. Does not reject but with StoreError. */
  async verdicts(subjects: readonly Judgeable[], signal: AbortSignal): Promise<Held[]> {
    const { keys, clean } = this.parts;
    const kept = clean.find(subjects.map(({ content }) => content.digests.sha256));
    const cases = new Map<string, Case>();
    const caseOf = subjects.map((subject) => {
      const { facts, interest, content } = subject;
      const answers = kept.get(content.digests.sha256)?.answers;
      const questions = keys.questions(interest, facts, content);
      const open = answers ? questions.filter(({ answer }) => !answers.has(answer)) : questions;
      const name = open.reduce((text, { answer }) => text + answer, content.digests.sha256);
      const own = cases.get(name) ?? { subject, open, answers: new Map() };
      cases.set(name, own);
      return own;
    });
    await this.answer(
      [...cases.values()].filter(({ open }) => open.length > 0),
      signal,
    );
    return caseOf.map(held);
  }

  private async *judgeBatch<Item extends ContentItem>(
    batch: readonly Fetched<Item>[],
    signal: AbortSignal,
  ): AsyncGenerator<Judged<Item>[]> {
    const arrived = batch.filter((fetched) => 'content' in fetched);
    const verdicts = await this.verdicts(
      arrived.map(({ item: { facts, interest }, content }) => ({ facts, interest, content })),
      signal,
    );
    const next = verdicts.values();
    yield batch.map((fetched): Judged<Item> => {
      const { item } = fetched;
      if (!('content' in fetched)) return { item, verdict: unscanned(fetched), isKept: false, starts: [] };
      const { facts, content } = fetched;
      return { item, ...(next.next().value as (typeof verdicts)[number]), opened: { facts, content } };
    });
  }

  /** Gathers the answers of these cases: what somebody asks already is awaited, the rest asked for in one go. */
  private async answer(cases: readonly Case[], signal: AbortSignal): Promise<void> {
    const awaited: Awaited[] = [];
    const fresh: Fresh[] = [];
    for (const own of cases) {
      const asked: Fresh['asked'][number][] = [];
      for (const question of own.open) {
        const key = keyOf(own, question);
        const failed = this.failed.get(key);
        const answer = failed ? Promise.resolve(failed) : this.parts.shared.find(key);
        if (answer) awaited.push({ own, question, answer });
        else {
          const { promise, resolve } = Promise.withResolvers<Answer>();
          this.parts.shared.share(key, promise);
          asked.push({ question, resolve });
        }
      }
      if (asked.length > 0) fresh.push({ own, asked });
    }
    await this.ask(fresh, signal);
    await this.awaitOthers(awaited, signal);
  }

  private async ask(fresh: readonly Fresh[], signal: AbortSignal): Promise<void> {
    if (fresh.length === 0) return;
    const given = await this.parts.detection.answers(fresh.map(askedOf), signal);
    for (const [index, one] of fresh.entries()) this.settle(one, given.get(String(index)) ?? new Map());
    forgetOldest(this.failed, REMEMBERED_FAILURES);
  }

  /** Keeps the clean answers before those who share them hear of them. */
  private settle({ own, asked }: Fresh, given: ReadonlyMap<string, Answer>): void {
    const answers = asked.map(({ question, resolve }) => {
      const { detector } = question;
      const answer = given.get(detector) ?? { subject: '', unscanned: 'no-answer' as const };
      own.answers.set(detector, answer);
      if (!isFinished(answer)) this.failed.set(keyOf(own, question), answer);
      return { question, answer, resolve };
    });
    const clean = answers.filter(({ answer }) => isClean(answer)).map(({ question }) => question.answer);
    if (clean.length > 0) this.parts.clean.keep(own.subject.content, clean);
    for (const { answer, resolve } of answers) resolve(answer);
  }

  /** What others asked for, and got no result, is asked for again. */
  private async awaitOthers(awaited: readonly Awaited[], signal: AbortSignal): Promise<void> {
    const again: Case[] = [];
    for (const { own, question, answer } of awaited) {
      const given = await answer;
      const isOurs = isFinished(given) || this.failed.has(keyOf(own, question));
      if (isOurs) own.answers.set(question.detector, given);
      else again.push({ ...own, open: [question] });
    }
    if (again.length > 0) await this.answer(again, signal);
  }
}

const keyOf = ({ subject }: Case, { answer }: Question): string => subject.content.digests.sha256 + answer;

function askedOf({ own, asked }: Fresh, index: number): Asked {
  const { content, facts } = own.subject;
  const { path = '', size, digests } = content;
  return {
    subject: { kind: 'file', id: String(index), content: path, size, digests, facts },
    detectors: new Set(asked.map(({ question }) => question.detector)),
  };
}

/** Those who are not asked have given a clean answer before. */
function held({ open, answers }: Case): Held {
  const given = open.map(({ detector }) => ({ detector, answer: answers.get(detector) as Answer }));
  return {
    verdict: judge(given),
    isKept: given.every(({ answer }) => isClean(answer)),
    starts: given.flatMap(({ answer }) => (isFinished(answer) ? (answer.starts ?? []) : [])),
  };
}

function unscanned(failed: { readonly unscanned: UnscannedReason; readonly detail?: string }): Verdict {
  const { unscanned: reason, detail } = failed;
  return { state: 'unscanned', unfinished: { reason, ...(detail && { detail }) } };
}

function weight<Item extends Fetchable>(fetched: Fetched<Item>): number {
  return 'content' in fetched ? fetched.content.size : 0;
}

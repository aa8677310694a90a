/**
 * Leaves out what need not be fetched: unchanged files whose content every detector that wants them has
 * answered for, or can answer for from its digests.
 */
import type { DigestName } from '../api/index.ts';
import type { KnownContent } from '../store/known-contents.ts';
import type { AnswerKeys } from './answer-keys.ts';
import type { CleanAnswers } from './answers.ts';
import type { ContentJudge } from './contents.ts';
import type { ListedFile } from './inventory.ts';
import type { KnownGuest } from './known-guest.ts';
import type { KnownHash, LineFile, OpenLine } from './line.ts';
import type { WantedFile } from './select.ts';
import type { Tally } from './tally.ts';

export interface RecallParts {
  readonly guest: KnownGuest;
  readonly clean: CleanAnswers;
  readonly keys: AnswerKeys;
  readonly judge: ContentJudge;
  readonly tally: Tally;
  /** Digests that some detector needs besides SHA-256. */
  readonly digests: readonly DigestName[];
}

/** A file whose content is known by its hash. */
export interface KnownFile {
  readonly wanted: WantedFile & { readonly inLine: LineFile };
  readonly known: KnownHash;
}

export class Recall {
  private readonly parts: RecallParts;

  constructor(parts: RecallParts) {
    this.parts = parts;
  }

  /** Those of a line's files that have to be fetched. Rejects with StoreError. */
  async toBeFetched(
    line: OpenLine,
    files: readonly (ListedFile & { readonly interest: string })[],
    signal: AbortSignal,
  ): Promise<WantedFile[]> {
    const { guest } = this.parts;
    const isAudited = guest.isAudited(line);
    const wanted: WantedFile[] = [];
    const candidates: KnownFile[] = [];
    for (const { path, facts, entry, interest } of files) {
      const inLine = guest.recall(line, { path, facts, entry });
      const file = { request: { path: path.wire }, path, facts, interest, inLine };
      if (inLine.expected && !isAudited) candidates.push({ wanted: file, known: inLine.expected });
      else wanted.push(file);
    }
    if (candidates.length === 0) return wanted;
    return [...wanted, ...(await this.notAnswered(candidates, signal))];
  }

  /** Those of the files for whose content some answer is missing, and a sample of the others. Rejects with StoreError. */
  async notAnswered(candidates: readonly KnownFile[], signal: AbortSignal): Promise<WantedFile[]> {
    const { clean, guest } = this.parts;
    const contents = clean.find(candidates.map(({ known }) => known.sha256));
    const wanted: WantedFile[] = [];
    const answered: KnownFile[] = [];
    const byDigests: { file: KnownFile; content: KnownContent }[] = [];
    for (const file of candidates) {
      const content = contents.get(file.known.sha256);
      const need = content ? this.needOf(file.wanted, content) : 'content';
      if (need === 'nothing') answered.push(file);
      else if (need === 'digests' && content) byDigests.push({ file, content });
      else wanted.push(held(file));
    }
    for (const { file, isAnswered } of await this.askByDigests(byDigests, signal)) {
      if (isAnswered) answered.push(file);
      else wanted.push(held(file));
    }
    for (const file of answered) {
      if (guest.drawn()) wanted.push(held(file));
      else this.leaveOut(file);
    }
    return wanted;
  }

  private needOf({ interest, facts }: WantedFile, content: KnownContent): 'nothing' | 'digests' | 'content' {
    // A hash that the guest claims may be of any content.
    if (content.size !== facts.size) return 'content';
    const open = this.parts.keys
      .questions(interest, facts, content)
      .filter(({ answer }) => !content.answers.has(answer));
    if (open.length === 0) return 'nothing';
    const hasDigests = this.parts.digests.every((name) => content.digests[name] !== undefined);
    return hasDigests && open.every(({ readsDigests }) => readsDigests) ? 'digests' : 'content';
  }

  /** What is found by its digests has to be fetched: it is judged anew by all, and what is done about it needs it. */
  private async askByDigests(
    asked: readonly { readonly file: KnownFile; readonly content: KnownContent }[],
    signal: AbortSignal,
  ): Promise<{ file: KnownFile; isAnswered: boolean }[]> {
    if (asked.length === 0) return [];
    const subjects = asked.map(({ file: { wanted }, content: { size, head, digests } }) => ({
      facts: wanted.facts,
      interest: wanted.interest,
      content: { size, head, digests },
    }));
    const verdicts = await this.parts.judge.verdicts(subjects, signal);
    return asked.map(({ file }, index) => ({ file, isAnswered: verdicts[index]?.isKept === true }));
  }

  private leaveOut({ wanted, known }: KnownFile): void {
    this.parts.tally.fileKnown(wanted.facts.size, known.isClaimed);
    this.parts.guest.settle(wanted.inLine, known);
  }
}

/** The file, to be fetched, and held to what is known of it. */
const held = ({ wanted, known }: KnownFile): WantedFile => ({
  ...wanted,
  inLine: { ...wanted.inLine, expected: known },
});

/**
 * The files of a guest: list, leave out what is known, fetch the rest, judge, answer.
 *
 * A guest that is caught lying about a file is scanned once more from the beginning and believed nothing: what it
 * was believed until then is not known to be so.
 */
import type { DigestName, ProcessTarget } from '../api/index.ts';
import type { FindingRecord } from '../store/records.ts';
import type { AnswerKeys } from './answer-keys.ts';
import { Claims } from './claims.ts';
import type { ContentJudge, Judged } from './contents.ts';
import { fileFinding, isFound } from './findings.ts';
import type { FirstScan } from './first-scans.ts';
import { type Listed, listFiles } from './inventory.ts';
import type { ScanKnowledge } from './known.ts';
import type { Lie } from './known-guest.ts';
import { detectionOfLie } from './lie.ts';
import { inodeKey } from './processes.ts';
import { Recall } from './recall.ts';
import type { Answerable } from './responder.ts';
import { release, type ScanContext } from './scan-context.ts';
import { type FileToFetch, inRequests, selectWanted, type WantedFile } from './select.ts';
import { withDetections } from './verdict.ts';

export interface FileParts extends ScanKnowledge {
  readonly keys: AnswerKeys;
  readonly judge: ContentJudge;
  readonly digests: readonly DigestName[];
}

export class FileScan {
  private readonly scan: ScanContext;
  private readonly parts: FileParts;
  private readonly recall: Recall;
  /** By path. */
  private readonly lies = new Map<string, Lie>();

  constructor(scan: ScanContext, parts: FileParts) {
    this.scan = scan;
    this.parts = parts;
    this.recall = new Recall({ ...parts, tally: scan.tally });
  }

  /** Rejects with ChannelError, ScanError or StoreError; all that was found until then is kept. */
  async run(signal: AbortSignal): Promise<void> {
    const { guest: known } = this.parts;
    let isComplete = false;
    try {
      if (known.isNew) await this.firstPass(signal);
      else await this.pass(signal);
      if (known.isCaughtLying) {
        this.scan.tally.restart();
        await this.pass(signal);
      }
      isComplete = this.scan.tally.isListed;
    } finally {
      known.end({ isComplete, isWhole: this.isWhole() });
    }
  }

  /** Once over all files; again from the beginning where another guest is met of which this one is a clone. */
  private async firstPass(signal: AbortSignal): Promise<void> {
    using first = this.parts.firstScans.begin();
    let twin: FirstScan | undefined;
    await this.pass(signal, (line) => {
      twin = first.twin(line);
      return twin !== undefined;
    });
    if (!twin) return;
    await first.waitFor(twin, signal);
    this.parts.guest.reload();
    this.scan.tally.restart();
    await this.pass(signal);
  }

  /** Once over all files, or up to the one about which the guest has lied, or to a line that it shall stop at. */
  private async pass(signal: AbortSignal, stopsAt: (digest: string) => boolean = () => false): Promise<void> {
    const { guest: known } = this.parts;
    const wasCaught = known.isCaughtLying;
    await this.each(
      (either) => this.unknown(either, stopsAt),
      signal,
      async (judged, either) => {
        await this.finish(judged, either);
        return wasCaught || !known.isCaughtLying;
      },
    );
  }

  /**
   * Has `work` done with all that the batches come to, or until it resolves with false. What works ahead is then told
   * to give up, and what it had fetched is let go of; before an error is thrown as well, for a loop that is left waits
   * for what works ahead of it, and that may wait for room that nobody gives back now.
   */
  private async each<Item extends FileToFetch>(
    batches: (signal: AbortSignal) => AsyncIterable<Item[]>,
    signal: AbortSignal,
    work: (judged: readonly Judged<Item>[], signal: AbortSignal) => Promise<boolean>,
  ): Promise<void> {
    const left = new AbortController();
    const either = AbortSignal.any([signal, left.signal]);
    let goesOn = true;
    try {
      for await (const judged of this.scan.fetchAndJudge(batches(either), either)) {
        if (goesOn) goesOn = await endingUponFailure(work(judged, either), left);
        else release(judged);
        if (!goesOn) left.abort();
      }
    } catch (error) {
      if (goesOn || signal.aborted) throw error;
    }
  }

  private unknown(signal: AbortSignal, stopsAt: (digest: string) => boolean): AsyncIterable<WantedFile[]> {
    const { guest: known } = this.parts;
    const { guest, policy, tally, detection } = this.scan;
    const { maxFileBytes } = policy;
    const listed = until(listFiles(guest.session, policy.inventory, signal, known), stopsAt);
    const parts = { detection, guest: known, recall: this.recall, tally, maxFileBytes };
    const wanted = selectWanted(listed, parts, signal);
    const claims = new Claims({ session: guest.session, guest: known, recall: this.recall, maxFileBytes });
    return claims.withoutKnown(wanted, signal);
  }

  private async finish(judged: readonly Judged<WantedFile>[], signal: AbortSignal): Promise<void> {
    const held = judged.map((each) => this.note(each));
    for (const { item, verdict } of held) {
      this.scan.tally.fileDone(item.facts.path, item.facts.size, verdict);
    }
    await this.respond(held, signal);
    this.parts.guest.saveInTime();
  }

  private async respond(judged: readonly Judged<FileToFetch>[], signal: AbortSignal): Promise<void> {
    const runningOf = await this.whoRuns(judged, signal);
    const found = judged.flatMap((each) => this.answerable(each, runningOf));
    const answered = await this.scan.answer(found, 'scanning', signal);
    this.forgetRemoved(found, answered);
    release(judged);
  }

  /** Keeps what was learnt of a file; one about which the guest has lied is found for that. */
  private note(judged: Judged<WantedFile>): Judged<WantedFile> {
    const { path } = judged.item.facts;
    this.scan.starters.note(judged);
    const lie = this.parts.guest.note(judged.item.inLine, judged) ?? this.lies.get(path);
    if (!lie) return judged;
    this.lies.set(path, lie);
    return { ...judged, verdict: withDetections(judged.verdict, [detectionOfLie(lie)]) };
  }

  /** Files that start what was found to be malicious are found with it; they were counted when they were judged. */
  async answerStarters(signal: AbortSignal): Promise<void> {
    const { tally, policy, starters, guilty } = this.scan;
    if (guilty.cut > 0) {
      const detail = `what runs from ${guilty.cut} files in which something was found is not known: they are too many`;
      tally.missed('processes of what was found', { reason: 'engine-limit', detail });
    }
    if (starters.cut > 0) {
      const detail = `${starters.cut} entries of what files start were not followed: there are too many`;
      tally.missed('what files start', { reason: 'engine-limit', detail });
    }
    for (let due = starters.take(); due.length > 0; due = starters.take()) {
      await this.each(
        () => inRequests(due, policy.maxFileBytes),
        signal,
        async (judged, either) => {
          await this.respond(judged.map(this.implicated, this), either);
          return true;
        },
      );
    }
  }

  /** It was counted when it was judged; it is unscanned when it cannot be looked at again. */
  private implicated(judged: Judged<FileToFetch>): Judged<FileToFetch> {
    const { item, verdict, opened } = judged;
    const { path } = item.facts;
    this.scan.starters.note(judged);
    if (!opened && 'unfinished' in verdict && verdict.unfinished) {
      this.scan.tally.missed(path, verdict.unfinished);
    }
    return { ...judged, verdict: withDetections(verdict, this.scan.starters.detections(path)) };
  }

  /** Who runs the files of a batch that are malicious, by inode; nobody is asked when none is. */
  private whoRuns(judged: readonly Judged<FileToFetch>[], signal: AbortSignal) {
    const malicious = judged.flatMap(({ verdict, opened }) =>
      verdict.state === 'malicious' && opened ? [opened.facts] : [],
    );
    return this.scan.runners.of(malicious, signal);
  }

  private answerable(
    { item, verdict, opened }: Judged<FileToFetch>,
    runningOf: ReadonlyMap<string, readonly ProcessTarget[]>,
  ): Answerable[] {
    if (!isFound(verdict) || !opened) return [];
    const key = inodeKey(opened.facts);
    this.scan.guilty.set(key, verdict.detections);
    const runBy = runningOf.get(key) ?? [];
    const found = fileFinding({ item, opened }, verdict, runBy, this.scan.circumstances);
    this.scan.names.note(found.record.id, opened.facts, opened.content.digests.sha256);
    return [{ ...found, content: opened.content }];
  }

  /** The inode of a file that is gone can be another file's by now. Who still runs the old one is read anew. */
  private forgetRemoved(found: readonly Answerable[], answered: readonly FindingRecord[]): void {
    const removed = new Set(
      answered.flatMap(({ id, response }) =>
        response === 'contained' || response === 'deleted' ? [id] : [],
      ),
    );
    for (const { actionable } of found) {
      const isRemoved = actionable.kind === 'file' && removed.has(actionable.id);
      if (isRemoved) this.scan.guilty.delete(inodeKey(actionable.file));
    }
  }

  private isWhole(): boolean {
    return this.scan.policy.inventory.roots.some((root) => root.display() === '/');
  }
}

/** The listing up to a line that it shall stop at, which is left out. */
async function* until(
  listed: AsyncIterable<Listed>,
  stopsAt: (digest: string) => boolean,
): AsyncGenerator<Listed> {
  for await (const each of listed) {
    if (each.line && stopsAt(each.line.digest)) return;
    yield each;
  }
}

async function endingUponFailure<Result>(work: Promise<Result>, rest: AbortController): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    rest.abort();
    throw error;
  }
}

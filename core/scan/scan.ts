/**
 * A scan of a guest that is connected: list, keep what is wanted, fetch, detect, judge; then its processes;
 * and every finding is planned for and acted upon as soon as it is known. What comes before (open the
 * channel, log in, negotiate, grant) is `connectGuest`; both are joined in `scanner.ts`.
 */
import type { DigestName } from '../api/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import { ContentJudge, type Judged } from './contents.ts';
import { Detection, type NamedDetector } from './detect.ts';
import { fetchContents } from './fetch.ts';
import { type Circumstances, fileFinding, isFound, processFinding } from './findings.ts';
import { batched, parallel } from './flow.ts';
import { type InventoryPolicy, listFiles } from './inventory.ts';
import {
  executableItems,
  inodeKey,
  listProcesses,
  type ProcessInventory,
  type RunningProcess,
  subjectOf,
  targetOf,
  type WantedExecutable,
} from './processes.ts';
import type { ScanProgress } from './report.ts';
import type { Answerable, Responder } from './responder.ts';
import { selectWanted, type WantedFile } from './select.ts';
import type { Intake } from './spool.ts';
import type { Tally } from './tally.ts';
import type { AttributedDetection } from './verdict.ts';

export interface ScanPolicy {
  readonly inventory: InventoryPolicy;
  readonly maxFileBytes: number;
}

export interface ScanParts {
  readonly detectors: readonly NamedDetector[];
  readonly responder: Responder;
  readonly spool: Intake;
  readonly tally: Tally;
  readonly circumstances: Circumstances;
  onProgress(progress: ScanProgress): void;
}

/** Content requests under way at once: one is sent for while the other is answered. */
const REQUESTS_AT_ONCE = 2;
const REQUEST_EXECUTABLES = 512;

export class GuestScan {
  private readonly guest: ConnectedGuest;
  private readonly parts: ScanParts;
  private readonly policy: ScanPolicy;
  private readonly detection: Detection;
  private readonly judge: ContentJudge;
  private readonly digests: readonly DigestName[];
  /** Aborted when the scan ends, however it ends: what works ahead then gives up. */
  private readonly ended = new AbortController();
  /** What was found in files that are still there, by inode: processes run them. */
  private readonly guilty = new Map<string, readonly AttributedDetection[]>();

  constructor(guest: ConnectedGuest, parts: ScanParts, policy: ScanPolicy) {
    const { detectors, spool } = parts;
    this.guest = guest;
    this.parts = parts;
    this.policy = { ...policy, maxFileBytes: Math.min(policy.maxFileBytes, spool.largest) };
    this.detection = new Detection(detectors);
    this.judge = new ContentJudge(this.detection, widthOf(detectors), spool.largest);
    this.digests = detectors.flatMap(({ detector }) => detector.digests ?? []);
  }

  /** Rejects with ChannelError, ScanError or StoreError; all that was found until then is kept. */
  async run(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.ended.signal]);
    try {
      await this.scanFiles(either);
      await this.scanProcesses(either);
    } finally {
      this.ended.abort();
    }
  }

  private async scanFiles(signal: AbortSignal): Promise<void> {
    const listed = listFiles(this.guest.session, this.policy.inventory, signal);
    const wanted = selectWanted(listed, this.detection, this.policy.maxFileBytes, this.parts.tally);
    for await (const judged of this.fetchAndJudge(wanted, signal)) {
      await this.endingUponFailure(this.finishFiles(judged, signal));
    }
  }

  private async finishFiles(judged: readonly Judged<WantedFile>[], signal: AbortSignal): Promise<void> {
    const runningOf = await this.whoRuns(judged, signal);
    const found = judged.flatMap((each) => this.fileAnswerable(each, runningOf));
    for (const { item, verdict } of judged)
      this.parts.tally.fileDone(item.facts.path, item.facts.size, verdict);
    await this.answer(found, 'scanning', signal);
    this.forgetRemoved(found);
    release(judged);
  }

  /** The inode of a file that is gone can be another file's by now. Who still runs the old one is read anew. */
  private forgetRemoved(found: readonly Answerable[]): void {
    for (const { record, actionable } of found) {
      const response = this.parts.responder.findings.get(record.id)?.response;
      const isRemoved = response === 'contained' || response === 'deleted';
      if (isRemoved && actionable.kind === 'file') this.guilty.delete(inodeKey(actionable.file));
    }
  }

  /** A loop that is left waits for what works ahead of it, and that may wait for room that nobody gives back now. */
  private async endingUponFailure(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.ended.abort();
      throw error;
    }
  }

  private async scanProcesses(signal: AbortSignal): Promise<void> {
    const interest = this.detection.interest({ kind: 'process' });
    if (interest === '') return;
    if (!this.grants('query:processes')) {
      const detail = 'this guest does not grant query:processes';
      this.parts.tally.missed('all processes', { reason: 'unreadable', detail });
      return;
    }
    const inventory = await listProcesses(this.guest.session, signal);
    await this.judgeNamelessExecutables(inventory, signal);
    const subjects = inventory.running.map((process) =>
      subjectOf(process, this.guilty.get(inodeKey(process.executable))),
    );
    const verdicts = await this.detection.verdicts(subjects, signal);
    const found: Answerable[] = [];
    for (const [index, process] of inventory.running.entries()) {
      const subject = subjects[index];
      const verdict = subject && verdicts.get(subject.id);
      if (!subject || !verdict) continue;
      this.parts.tally.processDone(`process ${process.pid} ${subject.name}`, verdict);
      if (isFound(verdict)) found.push(processFinding(process, verdict, this.parts.circumstances));
    }
    for (const { pid } of inventory.unreadable) {
      this.parts.tally.missed(`process ${pid}`, {
        reason: 'unreadable',
        detail: 'its executable cannot be told',
      });
    }
    await this.answer(found, 'acting', signal);
  }

  /** Executables that have no name any more are in no listing of files: they are read through their process. */
  private async judgeNamelessExecutables({ running }: ProcessInventory, signal: AbortSignal): Promise<void> {
    const batches = batched(executableItems(running, this.detection), REQUEST_EXECUTABLES, Infinity, () => 0);
    for await (const judged of this.fetchAndJudge(batches, signal)) {
      for (const { item, verdict } of judged) {
        if (isFound(verdict)) this.guilty.set(inodeKey(item.executable), verdict.detections);
        if ('unfinished' in verdict && verdict.unfinished)
          this.parts.tally.missed(item.facts.path, verdict.unfinished);
      }
      release(judged);
    }
  }

  private fetchAndJudge<Item extends WantedFile | WantedExecutable>(
    batches: AsyncIterable<Item[]>,
    signal: AbortSignal,
  ): AsyncGenerator<Judged<Item>[]> {
    const { spool } = this.parts;
    const policy = { maxFileBytes: this.policy.maxFileBytes, digests: this.digests };
    const fetched = parallel(batches, REQUESTS_AT_ONCE, (batch) =>
      fetchContents(this.guest.session, batch, spool, policy, signal),
    );
    return this.judge.judge(fetched, signal);
  }

  /** Who runs the files of a batch that are malicious, by inode; nobody is asked when none is. */
  private async whoRuns(judged: readonly Judged<WantedFile>[], signal: AbortSignal) {
    const malicious = judged.some(({ verdict }) => verdict.state === 'malicious');
    if (!malicious || !this.grants('query:processes')) return new Map<string, RunningProcess[]>();
    const { running } = await listProcesses(this.guest.session, signal);
    return Map.groupBy(running, (process) => inodeKey(process.executable));
  }

  private fileAnswerable(
    { item, verdict, opened }: Judged<WantedFile>,
    runningOf: ReadonlyMap<string, readonly RunningProcess[]>,
  ): Answerable[] {
    if (!isFound(verdict) || !opened) return [];
    const key = inodeKey(opened.facts);
    this.guilty.set(key, verdict.detections);
    const runBy = (runningOf.get(key) ?? []).map(targetOf);
    const found = fileFinding({ item, opened }, verdict, runBy, this.parts.circumstances);
    return [{ ...found, content: opened.content }];
  }

  private async answer(
    found: readonly Answerable[],
    phase: ScanProgress['phase'],
    signal: AbortSignal,
  ): Promise<void> {
    const { tally, responder, onProgress } = this.parts;
    onProgress(tally.snapshot(found.length > 0 ? 'acting' : phase));
    await responder.answer(found, signal);
    onProgress(tally.snapshot(phase));
  }

  private grants(instruction: 'query:processes'): boolean {
    return this.guest.instructionSet.instructions.includes(instruction);
  }
}

/** Batches under way at once: as many as the widest detector takes, and one that is being filled. */
const widthOf = (detectors: readonly NamedDetector[]): number =>
  1 + Math.max(1, ...detectors.map(({ detector }) => detector.concurrency));

function release(judged: readonly Judged<unknown>[]): void {
  for (const { opened } of judged) opened?.content.release();
}

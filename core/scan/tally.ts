import { addCounts } from '../../protocol/index.ts';
import type { ScanSummary } from '../store/records.ts';
import type { FollowedRoot, LeftOut, ScanProgress, Unscanned } from './report.ts';
import type { Unfinished, Verdict } from './verdict.ts';

/**
 * How many unscanned subjects a report names, and the characters of all of them; the summary counts all. And how many
 * file systems.
 */
const NAMED = 1_000;
const NAMED_CHARACTERS = 256 * 1024;

/** Counts what a scan has seen and done. */
export class Tally {
  readonly unscanned: Unscanned[] = [];
  /** By where the root was said to be. */
  private readonly roots = new Map<string, FollowedRoot>();
  private readonly fileSystems = new Map<string, LeftOut>();
  private readonly reasons = new Map<string, number>();
  private progress = { filesListed: 0, bytesListed: 0, filesDone: 0, bytesDone: 0 };
  private known = { unchanged: 0, claimed: 0 };
  private namedCharacters = 0;
  private processes = 0;
  private malicious = 0;
  private suspicious = 0;
  private listingComplete = false;

  listed(files: number, bytes: number): void {
    const { progress } = this;
    progress.filesListed = addCounts(progress.filesListed, files);
    progress.bytesListed = addCounts(progress.bytesListed, bytes);
  }

  followed(root: FollowedRoot): void {
    this.roots.set(root.path, root);
  }

  get followedRoots(): FollowedRoot[] {
    return [...this.roots.values()];
  }

  listingEnded(): void {
    this.listingComplete = true;
  }

  /** The listing of the files came to its end. */
  get isListed(): boolean {
    return this.listingComplete;
  }

  /** All begins anew, also what was counted. */
  restart(): void {
    this.progress = { filesListed: 0, bytesListed: 0, filesDone: 0, bytesDone: 0 };
    this.known = { unchanged: 0, claimed: 0 };
    this.malicious = 0;
    this.suspicious = 0;
    this.listingComplete = false;
    this.reasons.clear();
    this.unscanned.length = 0;
    this.namedCharacters = 0;
    this.fileSystems.clear();
  }

  /** Files of a line that is as it was when all of them were clean, in this guest or in another of which it is a clone. */
  lineKnown({ files, bytes }: { readonly files: number; readonly bytes: number }, isClaimed: boolean): void {
    this.listed(files, bytes);
    this.done(files, bytes);
    this.notFetched(files, isClaimed);
  }

  /** A listed file whose content is known to be clean. `isClaimed`: that it has this content is the guest's word. */
  fileKnown(bytes: number, isClaimed: boolean): void {
    this.done(1, bytes);
    this.notFetched(1, isClaimed);
  }

  fileDone(path: string, bytes: number, verdict: Verdict): void {
    this.done(1, bytes);
    this.judged(path, verdict);
  }

  processDone(path: string, verdict: Verdict): void {
    this.processes += 1;
    this.judged(path, verdict);
  }

  missed(path: string, { reason, detail }: Unfinished): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    if (this.unscanned.length >= NAMED || this.namedCharacters >= NAMED_CHARACTERS) return;
    this.namedCharacters += path.length + (detail?.length ?? 0);
    this.unscanned.push({ path, reason, ...(detail && { detail }) });
  }

  /** A file system that policy leaves out; each is told once, however often it is met. */
  passedBy(fileSystem: LeftOut): void {
    if (this.fileSystems.size < NAMED) this.fileSystems.set(fileSystem.path, fileSystem);
  }

  get leftOut(): LeftOut[] {
    return [...this.fileSystems.values()];
  }

  snapshot(phase: ScanProgress['phase']): ScanProgress {
    const found = this.malicious + this.suspicious;
    const { listingComplete } = this;
    return { phase, ...this.progress, listingComplete, found, unscanned: this.unscannedCount() };
  }

  summary(): ScanSummary {
    const { filesDone: files, bytesDone: bytes } = this.progress;
    const { processes, malicious, suspicious, known } = this;
    const unscanned = Object.fromEntries(this.reasons);
    return { files, bytes, ...known, processes, malicious, suspicious, unscanned };
  }

  private done(files: number, bytes: number): void {
    const { progress } = this;
    progress.filesDone = addCounts(progress.filesDone, files);
    progress.bytesDone = addCounts(progress.bytesDone, bytes);
  }

  private notFetched(files: number, isClaimed: boolean): void {
    const why = isClaimed ? 'claimed' : 'unchanged';
    this.known[why] = addCounts(this.known[why], files);
  }

  private judged(path: string, verdict: Verdict): void {
    if (verdict.state === 'malicious') this.malicious += 1;
    if (verdict.state === 'suspicious') this.suspicious += 1;
    if ('unfinished' in verdict && verdict.unfinished) this.missed(path, verdict.unfinished);
  }

  private unscannedCount(): number {
    return this.reasons.values().reduce(addCounts, 0);
  }
}

import type { ScanSummary } from '../store/records.ts';
import type { ScanProgress, Unscanned } from './report.ts';
import type { Unfinished, Verdict } from './verdict.ts';

/** How many unscanned subjects a report names; the summary counts all. */
const NAMED = 1_000;

/** Counts what a scan has seen and done. */
export class Tally {
  readonly unscanned: Unscanned[] = [];
  private readonly reasons = new Map<string, number>();
  private readonly progress = { filesListed: 0, bytesListed: 0, filesDone: 0, bytesDone: 0 };
  private processes = 0;
  private malicious = 0;
  private suspicious = 0;
  private listingComplete = false;

  listed(files: number, bytes: number): void {
    this.progress.filesListed += files;
    this.progress.bytesListed += bytes;
  }

  listingEnded(): void {
    this.listingComplete = true;
  }

  fileDone(path: string, bytes: number, verdict: Verdict): void {
    this.progress.filesDone += 1;
    this.progress.bytesDone += bytes;
    this.judged(path, verdict);
  }

  processDone(path: string, verdict: Verdict): void {
    this.processes += 1;
    this.judged(path, verdict);
  }

  missed(path: string, { reason, detail }: Unfinished): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    if (this.unscanned.length < NAMED) this.unscanned.push({ path, reason, ...(detail && { detail }) });
  }

  snapshot(phase: ScanProgress['phase']): ScanProgress {
    const found = this.malicious + this.suspicious;
    const { listingComplete } = this;
    return { phase, ...this.progress, listingComplete, found, unscanned: this.unscannedCount() };
  }

  summary(): ScanSummary {
    const { filesDone: files, bytesDone: bytes } = this.progress;
    const { processes, malicious, suspicious } = this;
    return { files, bytes, processes, malicious, suspicious, unscanned: Object.fromEntries(this.reasons) };
  }

  private judged(path: string, verdict: Verdict): void {
    if (verdict.state === 'malicious') this.malicious += 1;
    if (verdict.state === 'suspicious') this.suspicious += 1;
    if ('unfinished' in verdict && verdict.unfinished) this.missed(path, verdict.unfinished);
  }

  private unscannedCount(): number {
    return this.reasons.values().reduce((sum, count) => sum + count, 0);
  }
}

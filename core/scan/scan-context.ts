/** What a scan is given, and what its steps share. */
import type { ConnectedGuest } from '../capability/connect.ts';
import type { ContentItem, Judged } from './contents.ts';
import type { Detection, NamedDetector } from './detect.ts';
import type { Circumstances } from './findings.ts';
import type { InventoryPolicy } from './inventory.ts';
import type { Known } from './known.ts';
import type { Names } from './names.ts';
import type { ScanProgress } from './report.ts';
import type { Answerable, Responder } from './responder.ts';
import type { Intake } from './spool.ts';
import type { Starters } from './starters.ts';
import type { Tally } from './tally.ts';
import type { AttributedDetection } from './verdict.ts';

export interface ScanPolicy {
  readonly inventory: InventoryPolicy;
  readonly maxFileBytes: number;
  /** Believe nothing that is kept from before. */
  readonly fresh: boolean;
}

export interface ScanParts {
  readonly detectors: readonly NamedDetector[];
  readonly responder: Responder;
  readonly spool: Intake;
  readonly tally: Tally;
  readonly known: Known;
  readonly circumstances: Circumstances;
  onProgress(progress: ScanProgress): void;
}

/** What the steps of one scan share. */
export interface ScanContext extends Omit<ScanParts, 'known'> {
  readonly guest: ConnectedGuest;
  readonly policy: ScanPolicy;
  readonly detection: Detection;
  /** What was found in files that are still there, by inode: processes run them. */
  readonly guilty: Map<string, readonly AttributedDetection[]>;
  readonly starters: Starters;
  readonly names: Names;
  /** Fetches what each batch asks for and gives it with its verdicts, as they come. */
  fetchAndJudge<Item extends ContentItem>(
    batches: AsyncIterable<Item[]>,
    signal: AbortSignal,
  ): AsyncGenerator<Judged<Item>[]>;
  /** Acts upon what was found, and tells how far the scan is. */
  answer(found: readonly Answerable[], phase: ScanProgress['phase'], signal: AbortSignal): Promise<void>;
}

export function release(judged: readonly Judged<unknown>[]): void {
  for (const { opened } of judged) opened?.content.release();
}

/** What a scan is given, and what its steps share. */
import type { ConnectedGuest } from '../capability/connect.ts';
import type { FindingRecord } from '../store/records.ts';
import type { ContentItem, Judged } from './contents.ts';
import type { Detection, NamedDetector } from './detect.ts';
import type { Circumstances } from './findings.ts';
import type { Guilty } from './guilty.ts';
import type { InventoryPolicy } from './inventory.ts';
import type { Known } from './known.ts';
import type { Pace } from './pace.ts';
import type { ScanProgress } from './report.ts';
import type { Answerable, Responder } from './responder.ts';
import type { Runners } from './runners.ts';
import type { Intake } from './spool.ts';
import type { Starters } from './starters.ts';
import type { Tally } from './tally.ts';

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
  readonly pace: Pace;
  onProgress(progress: ScanProgress): void;
}

/** What the steps of one scan share. */
export interface ScanContext extends Omit<ScanParts, 'known'> {
  readonly guest: ConnectedGuest;
  readonly policy: ScanPolicy;
  readonly detection: Detection;
  readonly guilty: Guilty;
  readonly starters: Starters;
  readonly runners: Runners;
  /** Fetches what each batch asks for and gives it with its verdicts, as they come. */
  fetchAndJudge<Item extends ContentItem>(
    batches: AsyncIterable<Item[]>,
    signal: AbortSignal,
  ): AsyncGenerator<Judged<Item>[]>;
  /** Acts upon what was found, and tells how far the scan is. Gives the findings as they are then, in their order. */
  answer(
    found: readonly Answerable[],
    phase: ScanProgress['phase'],
    signal: AbortSignal,
  ): Promise<readonly FindingRecord[]>;
}

export function release(judged: readonly Judged<unknown>[]): void {
  for (const { opened } of judged) opened?.content.release();
}

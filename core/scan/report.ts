import type { GuestPath } from '../../protocol/index.ts';
import type { Mode, SignatureProblem, UnscannedReason } from '../api/index.ts';
import type { Domain } from '../channel/session.ts';
import type { PlannedStep, WithheldStep } from '../control/plan.ts';
import type { FindingRecord, ScanRecord, ScanTrigger, VmRecord } from '../store/records.ts';

export interface ScanRequest {
  /** What it will be known by. Default: a random UUID. */
  readonly id?: string;
  /** Default: manual. */
  readonly trigger?: ScanTrigger;
  readonly domain: Domain;
  readonly mode: Mode;
  /** Show the plan and do nothing. */
  readonly dryRun: boolean;
  /** Look at everything, whatever is known from before. */
  readonly fresh: boolean;
  /** Where to look; the whole guest is `/`. */
  readonly roots: readonly GuestPath[];
}

/** Where a scan stands. Totals grow while the guest is still being listed. */
export interface ScanProgress {
  readonly phase: 'connecting' | 'scanning' | 'acting' | 'finished';
  readonly filesListed: number;
  readonly bytesListed: number;
  readonly filesDone: number;
  readonly bytesDone: number;
  readonly listingComplete: boolean;
  readonly found: number;
  readonly unscanned: number;
}

/** One thing without a verdict. `path` is escaped for display. */
export interface Unscanned {
  readonly path: string;
  readonly reason: UnscannedReason;
  readonly detail?: string;
}

/** A mounted file system that policy leaves out. Both are escaped for display. */
export interface LeftOut {
  readonly path: string;
  readonly type: string;
}

export interface ScanReport {
  readonly vm: VmRecord;
  readonly scan: ScanRecord;
  readonly findings: readonly FindingRecord[];
  /** The first 1,000; the summary of `scan` counts all. */
  readonly unscanned: readonly Unscanned[];
  /** File systems that policy leaves out, at most 1,000 of them. */
  readonly leftOut: readonly LeftOut[];
  /** Signatures that were left out. */
  readonly problems: readonly (SignatureProblem & { readonly detector: string })[];
  readonly plan: { readonly steps: readonly PlannedStep[]; readonly withheld: readonly WithheldStep[] };
}

export interface ScanHooks {
  onProgress?(progress: ScanProgress): void;
  /** Its abort ends the scan, in the guest too, within a second. */
  readonly signal: AbortSignal;
}

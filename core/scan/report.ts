import { GuestPath } from '../../protocol/index.ts';
import type { Mode, SignatureProblem, UnscannedReason } from '../api/index.ts';
import type { Domain } from '../channel/session.ts';
import type { PlannedStep, WithheldStep } from '../control/plan.ts';
import type { FindingRecord, ScanRecord, ScanTrigger, VmRecord } from '../store/records.ts';
import type { Pace } from './pace.ts';

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

/** Whether these roots leave a part of the guest out. */
export const isPartial = (roots: readonly GuestPath[]): boolean =>
  !roots.some((root) => root.equals(GuestPath.of('/')));

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

/** A root that is a link, or lies behind one, and where the scan looked therefore. Escaped for display. */
export interface FollowedRoot {
  readonly path: string;
  readonly target: string;
}

/** A mounted file system that policy leaves out. Both are escaped for display. */
export interface LeftOut {
  readonly path: string;
  readonly type: string;
}

export interface ScanReport {
  readonly vm: VmRecord;
  readonly scan: ScanRecord;
  /** The first ones, at most 1,000 (`NamedFindings`); the summary of `scan` counts all, and the records have them. */
  readonly findings: readonly FindingRecord[];
  readonly followed?: readonly FollowedRoot[];
  /** The first ones, at most 1,000; the summary of `scan` counts all. */
  readonly unscanned: readonly Unscanned[];
  /** File systems that policy leaves out, at most 1,000 of them. */
  readonly leftOut: readonly LeftOut[];
  /** Signatures that were left out. */
  readonly problems: readonly (SignatureProblem & { readonly detector: string })[];
  /** About those findings. */
  readonly plan: { readonly steps: readonly PlannedStep[]; readonly withheld: readonly WithheldStep[] };
}

export interface ScanHooks {
  onProgress?(progress: ScanProgress): void;
  /** Its abort ends the scan, in the guest too, within a second. */
  readonly signal: AbortSignal;
  /** What the guest is held to. Default: a pace of its own. */
  readonly pace?: Pace;
}

/**
 * How fast a guest gives what a scan asks it for. A guest may be slow (an old disk, a budget of its operator), and
 * whoever scans it waits; but it may not let this host wait without an end. What it gives earns it time: so long a
 * guest may take for each file that it lists, each content, each byte. One that needs more than it has earned is too
 * slow, and its scan ends.
 *
 * The least that a budget can allow (1 % of a core, 1 MiB/s) keeps within half of this. Only time in which the guest
 * is waited for counts: while a detector works, or the spool has no room, nothing is lost.
 */

import { type ContentRecord, RECORD } from '../../protocol/index.ts';
import type { ListedLine, UntrustedClaim } from '../channel/session.ts';
import { ScanError } from '../error.ts';

/** Milliseconds that are earned. */
export const EARNED = {
  /** At the beginning: the digest of the largest file, at the least rate, comes after some minutes without a word. */
  atFirst: 600_000,
  line: 50,
  file: 10,
  content: 50,
  /** For each MiB of content: 512 KiB/s. */
  mebibyte: 2_000,
  process: 20,
  /** For what was done in the guest. */
  outcome: 10_000,
} as const;

/** A guest that gives less than so many times the least rate keeps this host waiting more than it has it work. */
const ORDINARY = 4;
/** A guest that was waited for so long in all may have to give way to others. */
const PATIENCE_MS = 300_000;
const MIB = 2 ** 20;

/** What has the host of a guest wait, and what it has given, so far. */
interface Sample {
  readonly at: number;
  readonly waitedMs: number;
  readonly earnedMs: number;
}

export class Pace {
  private readonly clock: () => number;
  private earnedMs = 0;
  private settledMs = 0;
  private waits = 0;
  private works = 0;
  private since = 0;
  private last: Sample;
  private hasToGiveWay = false;

  /** `clock`: milliseconds that only grow. */
  constructor(clock: () => number = () => performance.now()) {
    this.clock = clock;
    this.last = this.sample();
  }

  /** Waits for the guest: what `answer` gives. */
  async waiting<Answer>(answer: Promise<Answer>): Promise<Answer> {
    this.change(() => (this.waits += 1));
    try {
      return await answer;
    } finally {
      this.change(() => (this.waits -= 1));
    }
  }

  /** This host works meanwhile, so that the guest is not waited for. */
  async working<Result>(work: Promise<Result>): Promise<Result> {
    this.change(() => (this.works += 1));
    try {
      return await work;
    } finally {
      this.change(() => (this.works -= 1));
    }
  }

  /** The guest gave what earns it so much time. */
  earn(milliseconds: number): void {
    this.earnedMs += milliseconds;
  }

  /** Throws ScanError `too-slow` where the guest has used up what it has earned, or has to give way. */
  check(): void {
    if (this.waitedMs > EARNED.atFirst + this.earnedMs) throw tooSlow('it gives next to nothing');
    if (this.hasToGiveWay)
      throw tooSlow('others wait for their turn, and it is the slowest of those that have one');
  }

  /** Whether the guest has let this host wait more than work since it was looked at last. */
  isSlowSinceLastLook(): boolean {
    const before = this.last;
    this.last = this.sample();
    const waited = this.last.waitedMs - before.waitedMs;
    const earned = this.last.earnedMs - before.earnedMs;
    return waited > (this.last.at - before.at) / 2 && earned < ORDINARY * waited;
  }

  /** Time waited for each time earned; undefined for one that is not slow enough to give way to others. */
  get slowness(): number | undefined {
    const { waitedMs, earnedMs } = this;
    return waitedMs > PATIENCE_MS && earnedMs < ORDINARY * waitedMs ? waitedMs / (1 + earnedMs) : undefined;
  }

  /** The scan ends as soon as the guest says something. */
  giveWay(): void {
    this.hasToGiveWay = true;
  }

  get waitedMs(): number {
    return this.settledMs + (this.isWaiting ? this.clock() - this.since : 0);
  }

  private get isWaiting(): boolean {
    return this.waits > 0 && this.works === 0;
  }

  private sample(): Sample {
    return { at: this.clock(), waitedMs: this.waitedMs, earnedMs: this.earnedMs };
  }

  private change(change: () => void): void {
    const now = this.clock();
    if (this.isWaiting) this.settledMs += now - this.since;
    change();
    this.since = now;
  }
}

export const tooSlow = (why: string): ScanError =>
  new ScanError(
    'too-slow',
    `the guest is too slow to be scanned to its end: ${why}. See what keeps it busy; what was scanned is kept`,
  );

export function earnedByLine(line: ListedLine): number {
  switch (line.type) {
    case 'directory':
      return EARNED.line + line.files.length * EARNED.file;
    case 'known':
      return line.digests.length * (EARNED.line + EARNED.file);
    default:
      return EARNED.file;
  }
}

export const earnedByRecords = (records: readonly ContentRecord[]): number =>
  records.reduce((sum, { kind, payload }) => {
    if (kind === RECORD.data) return sum + earnedByBytes(payload.length);
    return kind === RECORD.open ? sum : sum + EARNED.content;
  }, 0);

/** The size is the guest's word: it earns no more than the largest file would. */
export const earnedByClaim = (claim: UntrustedClaim, maxFileBytes: number): number =>
  EARNED.content + ('facts' in claim ? earnedByBytes(Math.min(claim.facts.size, maxFileBytes)) : 0);

const earnedByBytes = (bytes: number): number => (bytes / MIB) * EARNED.mebibyte;

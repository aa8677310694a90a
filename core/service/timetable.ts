/**
 * Calls when a VM is due. The clock is the host's own and may be set: it is looked at every minute at least, so
 * that a jump, or a host that was suspended, is noticed soon. Runs that were jumped over are made up for by one;
 * a clock that is set back does not bring back what was done already.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterBlackout, nextRun, type Schedule } from './schedule.ts';

const LONGEST_SLEEP_MS = 60_000;
/**
 * How far the clock may be set back for runs to count as done. It was plainly wrong where it is more: then nothing
 * may wait until that time comes again.
 */
const MOST_SET_BACK_MS = 25 * 3_600_000;

export interface TimetableOptions {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Runs something once, after so many milliseconds. Returns what cancels it. */
  readonly setTimer?: (run: () => void, ms: number) => () => void;
  /** Must not throw. It may change the timetable. */
  readonly onDue: (vmId: string) => void;
}

interface Entry {
  readonly schedule: Schedule;
  /** Until when runs are done or do not count. */
  doneUntil: number;
  next: number | undefined;
}

export class Timetable {
  private readonly clock: () => number;
  private readonly setTimer: (run: () => void, ms: number) => () => void;
  private readonly onDue: (vmId: string) => void;
  private readonly entries = new Map<string, Entry>();
  private cancelTimer: (() => void) | undefined;
  private lastSeen: number;
  private wakesAt = 0;

  constructor({ clock, setTimer = onTimeout, onDue }: TimetableOptions) {
    this.clock = clock;
    this.setTimer = setTimer;
    this.onDue = onDue;
    this.lastSeen = clock();
  }

  /**
   * Enters a VM, or changes its schedule. Of a VM that is new here, the runs since `since` are made up for by one:
   * give the time of its last scan to make up for what was missed while nobody looked at the clock. What another
   * schedule would have had in the past does not count.
   */
  set(vmId: string, schedule: Schedule, since?: Date): void {
    const before = this.entries.get(vmId);
    if (before && isDeepStrictEqual(before.schedule, schedule)) return;
    const now = this.clock();
    const doneUntil = before ? Math.max(before.doneUntil, now) : (since?.getTime() ?? now);
    const entry: Entry = { schedule, doneUntil, next: undefined };
    this.entries.set(vmId, entry);
    this.plan(vmId, entry, now);
    if (!this.cancelTimer || (entry.next ?? Number.POSITIVE_INFINITY) < this.wakesAt) this.arm();
  }

  delete(vmId: string): void {
    this.entries.delete(vmId);
  }

  /** When a VM is due next, as far as is known now; undefined when never. */
  next(vmId: string): Date | undefined {
    const at = this.entries.get(vmId)?.next;
    return at === undefined ? undefined : new Date(at);
  }

  /** Nothing comes due any more. */
  stop(): void {
    this.entries.clear();
    this.cancelTimer?.();
    this.cancelTimer = undefined;
  }

  private wake(): void {
    const now = this.clock();
    const wasSetBack = now < this.lastSeen;
    this.lastSeen = now;
    const due: string[] = [];
    for (const [vmId, entry] of this.entries) {
      if (wasSetBack) this.plan(vmId, entry, now);
      if (entry.next === undefined || entry.next > now) continue;
      const allowed = afterBlackout(vmId, entry.schedule, new Date(now))?.getTime();
      if (allowed === now) {
        due.push(vmId);
        entry.doneUntil = now;
        this.plan(vmId, entry, now);
      } else entry.next = allowed;
    }
    this.arm();
    for (const vmId of due) if (this.entries.has(vmId)) this.onDue(vmId);
  }

  private plan(vmId: string, entry: Entry, now: number): void {
    if (entry.doneUntil - now > MOST_SET_BACK_MS) entry.doneUntil = now;
    entry.next = nextRun(vmId, entry.schedule, new Date(entry.doneUntil))?.getTime();
  }

  private arm(): void {
    this.cancelTimer?.();
    const now = this.clock();
    this.wakesAt = now + LONGEST_SLEEP_MS;
    for (const { next = Number.POSITIVE_INFINITY } of this.entries.values()) {
      this.wakesAt = Math.max(now, Math.min(this.wakesAt, next));
    }
    const isNeeded = this.entries.size > 0;
    this.cancelTimer = isNeeded ? this.setTimer(() => this.wake(), this.wakesAt - now) : undefined;
  }
}

function onTimeout(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}

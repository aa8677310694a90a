/**
 * When a VM is scanned by the clock. Cron says when a group is due; each VM comes later by its jitter, always the
 * same, so that the host is not busy with all of them at once. What falls into a blackout comes after it, later
 * by as much, or less where the next blackout is near. A daily run is neither lost nor doubled when clocks are
 * changed. All of it is a function of the VM's id, the schedule and the instant: nothing is kept.
 */
import { createHash } from 'node:crypto';
import { Cron } from 'croner';
import { CRON_OPTIONS } from '../config/index.ts';
import { Blackout, type BlackoutWindow, type Span } from './blackout.ts';

export interface Schedule {
  /** Five fields: minute, hour, day of month, month, day of week. Without it no run ever comes due. */
  readonly cron?: string | undefined;
  /** Of `cron` and `blackout`, as the IANA names it; UTC when absent. */
  readonly timezone?: string | undefined;
  /** Milliseconds that a VM comes later, less than this. */
  readonly jitter: number;
  readonly blackout: readonly BlackoutWindow[];
}

const NEVER = Number.POSITIVE_INFINITY;

/** Schedules as they are in use, read once. */
const plans = new WeakMap<Schedule, Plan>();

/**
 * When a VM is due next, later than `after`; undefined when it never is. The schedule must have been checked:
 * throws what croner or Temporal throw for one that cannot be read.
 */
export function nextRun(vmId: string, schedule: Schedule, after: Date): Date | undefined {
  return dateOf(planOf(schedule).next(shareOf(vmId), after.getTime()));
}

/** The instant itself, or when a VM may run that was held back by a blackout then; undefined when that never ends. */
export function afterBlackout(vmId: string, schedule: Schedule, at: Date): Date | undefined {
  return dateOf(planOf(schedule).released(shareOf(vmId), at.getTime()));
}

const cronOf = (text: string, timezone: string): Cron =>
  new Cron(text, { ...CRON_OPTIONS, timezone, paused: true });

const dateOf = (at = NEVER): Date | undefined => (at === NEVER ? undefined : new Date(at));

/** A number from 0 to below 1 that is this VM's for ever. */
function shareOf(vmId: string): number {
  return createHash('sha256').update(vmId).digest().readUIntBE(0, 6) / 2 ** 48;
}

function planOf(schedule: Schedule): Plan {
  const plan = plans.get(schedule) ?? new Plan(schedule);
  plans.set(schedule, plan);
  return plan;
}

/** Instants are milliseconds since 1970. A VM's base times are those of cron and its jitter. */
class Plan {
  private readonly cron: Cron | undefined;
  private readonly jitter: number;
  private readonly blackout: Blackout;

  constructor({ cron, timezone = 'UTC', jitter, blackout }: Schedule) {
    this.cron = cron === undefined ? undefined : cronOf(cron, timezone);
    this.jitter = jitter;
    this.blackout = new Blackout(blackout, timezone);
  }

  next(share: number, after: number): number {
    const delay = Math.floor(share * this.jitter);
    const span = this.blackout.spanAt(after) ?? this.blackout.spanBefore(after, this.jitter);
    const heldBack = span ? this.heldBackBy(span, share, delay) : NEVER;
    const free = this.nextFree(Math.max(after + 1, span?.end ?? 0), share, delay);
    return Math.min(heldBack > after ? heldBack : NEVER, free);
  }

  released(share: number, at: number): number {
    const span = this.blackout.spanAt(at);
    return span ? this.release(span, share) : at;
  }

  /** The earliest run of a base time that is not before an instant, which lies in no blackout. */
  private nextFree(from: number, share: number, delay: number): number {
    const base = this.baseFrom(from, delay);
    const span = base === NEVER ? undefined : this.blackout.spanAt(base);
    if (!span) return base;
    // One that is due after the blackout may come before those that it held back.
    return Math.min(this.baseFrom(span.end, delay), this.release(span, share));
  }

  private heldBackBy(span: Span, share: number, delay: number): number {
    return this.baseFrom(span.start, delay) < span.end ? this.release(span, share) : NEVER;
  }

  private release({ end }: Span, share: number): number {
    if (end === NEVER) return end;
    const room = Math.min(this.jitter, this.blackout.nextStart(end) - end);
    return end + Math.floor(share * room);
  }

  /** The first base time that is not before an instant. */
  private baseFrom(from: number, delay: number): number {
    if (!Number.isFinite(from)) return NEVER;
    const due = this.cron?.nextRun(new Date(from - delay - 1));
    return due ? due.getTime() + delay : NEVER;
  }
}

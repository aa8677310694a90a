/// <reference lib="esnext.temporal" />
/**
 * When no scan begins by itself. A window is told in the time of day of some time zone, so that its length is
 * another where clocks are changed; it is then taken for longer rather than shorter. Windows that overlap or
 * touch are one span.
 */

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

export interface BlackoutWindow {
  /** Time of day, `HH:MM`. */
  readonly from: string;
  /** Where it is not later than `from`, it is on the next day. */
  readonly to: string;
  /** The days on which it begins; all when absent. */
  readonly days?: readonly Day[] | undefined;
  /** That of the schedule when absent. */
  readonly timezone?: string | undefined;
}

/** Milliseconds since 1970; the end is not part of it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Windows come again each week: what has not ended after so long never does. */
const DAYS_AHEAD = 8;
const DAY_MS = 24 * 3_600_000;
const ENDLESS_MS = DAYS_AHEAD * DAY_MS;

export class Blackout {
  private readonly windows: readonly BlackoutWindow[];
  private readonly timezone: string;

  constructor(windows: readonly BlackoutWindow[], timezone: string) {
    this.windows = windows;
    this.timezone = timezone;
  }

  /** The span that an instant lies in; its end is Infinity when there is none. */
  spanAt(at: number): Span | undefined {
    const near = this.spansAround(at);
    if (!near.some(({ start, end }) => start <= at && at < end)) return undefined;
    return { start: this.startOf(at), end: this.endOf(at) };
  }

  /** The latest span that has ended at an instant, if that was not longer before than `within`, in milliseconds. */
  spanBefore(at: number, within: number): Span | undefined {
    const ends = this.spansAround(at, { before: Math.ceil(within / DAY_MS) }).flatMap(({ end }) =>
      end <= at ? [end] : [],
    );
    return ends.length > 0 ? this.spanAt(Math.max(...ends) - 1) : undefined;
  }

  /** When the next span begins after an instant that lies in none; Infinity when none does. */
  nextStart(at: number): number {
    const starts = this.spansAround(at, { after: DAYS_AHEAD }).map(({ start }) => start);
    return Math.min(Number.POSITIVE_INFINITY, ...starts.filter((start) => start > at));
  }

  private endOf(at: number): number {
    for (let end = at; end - at < ENDLESS_MS; ) {
      const ends = this.spansAround(end).flatMap((span) =>
        span.start <= end && end < span.end ? [span.end] : [],
      );
      if (ends.length === 0) return end;
      end = Math.max(...ends);
    }
    return Number.POSITIVE_INFINITY;
  }

  private startOf(at: number): number {
    for (let start = at; at - start < ENDLESS_MS; ) {
      const starts = this.spansAround(start).flatMap((span) =>
        span.start < start && start <= span.end ? [span.start] : [],
      );
      if (starts.length === 0) return start;
      start = Math.min(...starts);
    }
    return Number.NEGATIVE_INFINITY;
  }

  /** Each window as it is on the days around an instant: all of that day, and so many before and after. Unmerged. */
  private spansAround(at: number, { before = 0, after = 0 } = {}): Span[] {
    if (this.windows.length === 0) return [];
    const today = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(this.timezone).toPlainDate();
    // A window may have begun on the day before, or have its own time zone, in which it is another day.
    const first = -before - 2;
    const dates = Array.from({ length: after + 2 - first }, (_, index) => today.add({ days: first + index }));
    return this.windows.flatMap((window) =>
      dates.filter((date) => beginsOn(window, date)).map((date) => this.spanOf(window, date)),
    );
  }

  private spanOf({ from, to, timezone = this.timezone }: BlackoutWindow, date: Temporal.PlainDate): Span {
    const start = date.toPlainDateTime(from).toZonedDateTime(timezone, { disambiguation: 'earlier' });
    const endDate = to > from ? date : date.add({ days: 1 });
    const end = endDate.toPlainDateTime(to).toZonedDateTime(timezone, { disambiguation: 'later' });
    return { start: start.epochMilliseconds, end: end.epochMilliseconds };
  }
}

const beginsOn = ({ days }: BlackoutWindow, { dayOfWeek }: Temporal.PlainDate): boolean =>
  days === undefined || days.includes(DAYS[dayOfWeek - 1] as Day);

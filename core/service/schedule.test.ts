import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlackoutWindow, Day } from './blackout.ts';
import { afterBlackout, nextRun, type Schedule } from './schedule.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK_MINUTES = 7 * 24 * 60;
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const BERLIN = 'Europe/Berlin';

const scheduled = (cron: string, rest: Partial<Schedule> = {}): Schedule => ({
  cron,
  jitter: 0,
  blackout: [],
  ...rest,
});

/** The next runs, one after the other. */
function runs(schedule: Schedule, after: string, count: number, vmId = 'vm'): string[] {
  const found: string[] = [];
  for (let at = new Date(after); found.length < count; ) {
    const next = nextRun(vmId, schedule, at);
    if (!next) break;
    found.push(next.toISOString().replace(':00.000Z', 'Z'));
    at = next;
  }
  return found;
}

/** By how much this VM comes later within `jitter`. */
function delayOf(vmId: string, jitter: number): number {
  const yearly = scheduled('0 0 1 1 *', { jitter });
  return (nextRun(vmId, yearly, new Date('2025-12-31T23:59Z'))?.getTime() ?? 0) - Date.UTC(2026, 0, 1);
}

describe('without jitter and blackout', () => {
  it('is what cron says, strictly after', () => {
    const daily = scheduled('30 3 * * *');
    expect(runs(daily, '2026-11-27T03:29:59.999Z', 2)).toEqual(['2026-11-27T03:30Z', '2026-11-28T03:30Z']);
    expect(runs(daily, '2026-11-27T03:30:00Z', 1)).toEqual(['2026-11-28T03:30Z']);
    expect(runs(daily, '2026-11-27T03:30:00.001Z', 1)).toEqual(['2026-11-28T03:30Z']);
  });

  it('knows leap years', () => {
    const leap = scheduled('0 0 29 2 *');
    expect(runs(leap, '2026-01-01T00:00Z', 2)).toEqual(['2028-02-29T00:00Z', '2032-02-29T00:00Z']);
    expect(runs(leap, '2097-01-01T00:00Z', 1)).toEqual(['2104-02-29T00:00Z']);
  });

  it('runs once on the day on which an hour is missing, and on the one that has it twice', () => {
    const night = scheduled('30 2 * * *', { timezone: BERLIN });
    const spring = ['2026-03-28T01:30Z', '2026-03-29T01:00Z', '2026-03-30T00:30Z'];
    expect(runs(night, '2026-03-27T12:00Z', 3)).toEqual(spring);
    const autumn = ['2026-10-24T00:30Z', '2026-10-25T00:30Z', '2026-10-26T01:30Z'];
    expect(runs(night, '2026-10-23T12:00Z', 3)).toEqual(autumn);
    const twice = scheduled('30 2,14 * * *', { timezone: BERLIN });
    expect(runs(twice, '2026-03-28T22:00Z', 2)).toEqual(['2026-03-29T01:00Z', '2026-03-29T12:30Z']);
  });

  it('is never without cron, or for a date that there is not', () => {
    expect(nextRun('vm', { jitter: HOUR, blackout: [] }, new Date())).toBeUndefined();
    expect(nextRun('vm', scheduled('0 0 31 2 *'), new Date('2026-01-01'))).toBeUndefined();
  });
});

describe('jitter', () => {
  const daily = scheduled('0 3 * * *', { jitter: HOUR });

  it('is always the same for one VM', () => {
    // The first six bytes of the SHA-256 of the id, as a fraction, of an hour.
    expect(runs(daily, '2026-11-27T00:00Z', 2, 'web-1')).toEqual([
      '2026-11-27T03:46:02.490Z',
      '2026-11-28T03:46:02.490Z',
    ]);
    expect(delayOf('web-1', HOUR)).toBe(2_762_490);
  });

  it('spreads VMs over its time, of which the run that has begun by cron is still part', () => {
    const delays = Array.from({ length: 400 }, (_, index) => delayOf(`vm-${index}`, HOUR));
    const quarters = [0, 1, 2, 3].map((quarter) =>
      delays.filter((d) => Math.floor(d / (HOUR / 4)) === quarter),
    );
    for (const quarter of quarters) expect(quarter.length).toBeGreaterThan(60);
    expect(runs(daily, '2026-11-27T03:30Z', 1, 'web-1')).toEqual(['2026-11-27T03:46:02.490Z']);
  });
});

describe('a blackout', () => {
  const office: BlackoutWindow = { from: '08:00', to: '18:00', days: ['mon', 'tue', 'wed', 'thu', 'fri'] };
  const night: BlackoutWindow = { from: '22:00', to: '06:00' };

  it('holds back what falls into it to its end, once', () => {
    const hourly = scheduled('0 * * * *', { blackout: [office] });
    // A Friday.
    expect(runs(hourly, '2026-11-27T06:30Z', 3)).toEqual([
      '2026-11-27T07:00Z',
      '2026-11-27T18:00Z',
      '2026-11-27T19:00Z',
    ]);
    expect(runs(hourly, '2026-11-28T08:30Z', 1)).toEqual(['2026-11-28T09:00Z']);
  });

  it('lets each VM come later after it by its jitter', () => {
    const noon = scheduled('0 12 * * *', { jitter: HOUR, blackout: [office] });
    expect(runs(noon, '2026-11-27T00:00Z', 1, 'web-1')).toEqual(['2026-11-27T18:46:02.490Z']);
    // Asked at any time before.
    expect(runs(noon, '2026-11-27T12:30Z', 1, 'web-1')).toEqual(['2026-11-27T18:46:02.490Z']);
    expect(runs(noon, '2026-11-27T18:46Z', 1, 'web-1')).toEqual(['2026-11-27T18:46:02.490Z']);
    expect(runs(noon, '2026-11-27T18:47Z', 1, 'web-1')).toEqual(['2026-11-28T12:46:02.490Z']);
  });

  it('reaches over midnight, on the days on which it begins', () => {
    const schedule = scheduled('0 3 * * *', { blackout: [{ ...night, days: ['sat'] }] });
    // Friday to Saturday is free, Saturday to Sunday is not.
    expect(runs(schedule, '2026-11-27T12:00Z', 3)).toEqual([
      '2026-11-28T03:00Z',
      '2026-11-29T06:00Z',
      '2026-11-30T03:00Z',
    ]);
  });

  it('may have a time zone of its own', () => {
    const tokyo = { ...office, timezone: 'Asia/Tokyo' };
    const schedule = scheduled('0 0 * * *', { blackout: [tokyo] });
    expect(runs(schedule, '2026-11-26T12:00Z', 1)).toEqual(['2026-11-27T09:00Z']);
  });

  it('that touches another is one with it, and leaves room for all who waited', () => {
    const blackout = [office, { from: '18:00', to: '20:00' }, { from: '20:10', to: '07:00' }];
    const schedule = scheduled('0 12 * * *', { jitter: 6 * HOUR, blackout });
    for (let index = 0; index < 50; index++) {
      const next = nextRun(`vm-${index}`, schedule, new Date('2026-11-27T09:00Z'));
      expect(next?.toISOString()).toMatch(/^2026-11-27T20:0\d/);
    }
  });

  it('holds back what fell into the first of two that touch, asked within the second', () => {
    const blackout = [
      { from: '08:00', to: '12:00' },
      { from: '12:00', to: '18:00' },
    ];
    const schedule = scheduled('0 9 * * *', { blackout });
    expect(runs(schedule, '2026-11-27T13:00Z', 1)).toEqual(['2026-11-27T18:00Z']);
  });

  it('holds back for as long as the jitter, be it days', () => {
    const blackout: BlackoutWindow[] = [{ from: '00:00', to: '12:00', days: ['mon'] }];
    // Thursday 10:00 and 92 hours are Monday 06:00, in the blackout; after that, 92 hours are Friday 08:00.
    const schedule = scheduled('0 10 * * 4', { jitter: 120 * HOUR, blackout });
    expect(runs(schedule, '2026-12-04T07:00Z', 1, 'web-1')).toEqual(['2026-12-04T08:04:58.863Z']);
  });

  it('holds where its own time zone has another date', () => {
    const pagoPago = { from: '22:00', to: '21:00', timezone: 'Pacific/Pago_Pago' };
    const schedule = scheduled('0 21 * * *', { timezone: 'Pacific/Kiritimati', blackout: [pagoPago] });
    expect(runs(schedule, '2026-11-27T06:00Z', 1)).toEqual(['2026-11-27T08:00Z']);
  });

  it('that never ends leaves no run', () => {
    for (const blackout of [
      [{ from: '00:00', to: '00:00' }],
      [
        office,
        { from: '07:00', to: '08:00' },
        { from: '18:00', to: '07:00' },
        { from: '08:00', to: '18:00', days: ['sat', 'sun'] as Day[] },
      ],
    ]) {
      const schedule = scheduled('*/5 * * * *', { jitter: HOUR, blackout });
      expect(nextRun('vm', schedule, new Date('2026-11-27T09:00Z'))).toBeUndefined();
      expect(afterBlackout('vm', schedule, new Date('2026-11-27T09:00Z'))).toBeUndefined();
    }
  });

  it('is as long as the clock on the wall says where it is changed, or longer', () => {
    const window = { from: '01:30', to: '02:30' };
    const berlin = scheduled('*/15 1-3 * * *', { timezone: BERLIN, blackout: [window] });
    // 02:00 to 03:00 is missing; 02:30 is then 03:30.
    expect(runs(berlin, '2026-03-29T00:00Z', 3)).toEqual([
      '2026-03-29T00:15Z',
      '2026-03-29T01:30Z',
      '2026-03-29T01:45Z',
    ]);
    // 02:00 to 03:00 comes twice: it ends with the second 02:30.
    expect(runs(berlin, '2026-10-24T23:00Z', 3)).toEqual([
      '2026-10-24T23:15Z',
      '2026-10-25T01:30Z',
      '2026-10-25T01:45Z',
    ]);
  });

  it('begins with the first of two hours that are called the same', () => {
    const blackout = [{ from: '02:15', to: '04:00' }];
    const berlin = scheduled('*/15 1-4 * * *', { timezone: BERLIN, blackout });
    expect(runs(berlin, '2026-10-24T23:50Z', 2)).toEqual(['2026-10-25T00:00Z', '2026-10-25T03:00Z']);
  });

  it('says when something that may not begin now may', () => {
    const schedule = scheduled('0 3 * * *', { jitter: HOUR, blackout: [office] });
    const at = new Date('2026-11-27T12:00Z');
    expect(afterBlackout('web-1', schedule, at)?.toISOString()).toBe('2026-11-27T18:46:02.490Z');
    const free = new Date('2026-11-27T18:00Z');
    expect(afterBlackout('web-1', schedule, free)).toEqual(free);
    expect(afterBlackout('web-1', { jitter: 0, blackout: [] }, at)).toEqual(at);
  });
});

describe('any schedule', () => {
  const time = fc
    .integer({ min: 0, max: 24 * 60 - 1 })
    .map((minute) => new Date(minute * MINUTE).toISOString().slice(11, 16));
  const window = fc.record(
    { from: time, to: time, days: fc.uniqueArray(fc.constantFrom<Day>(...DAYS), { minLength: 1 }) },
    { requiredKeys: ['from', 'to'] },
  );
  const cron = fc.constantFrom(
    '30 3 * * *',
    '0 * * * *',
    '*/30 * * * *',
    '15 2 * * 0',
    '0 12 1 * *',
    '10,50 8-18 * * 1-5',
    '0 0 29 2 *',
  );
  const jitter = fc.constantFrom(0, MINUTE, 30 * MINUTE, 5 * HOUR, 40 * HOUR);
  const after = fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 11, 1) });
  const vmId = fc.constantFrom('a', 'b', 'c', 'web-1');
  const blackout = fc.array(window, { maxLength: 3 });

  const minuteOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));

  /** Which minutes of a week, from Monday 00:00, are blacked out. */
  function minutesOf(windows: readonly BlackoutWindow[]): boolean[] {
    const minutes = new Array<boolean>(WEEK_MINUTES).fill(false);
    for (const { from, to, days = DAYS } of windows) {
      const length = (minuteOf(to) - minuteOf(from) + 1440) % 1440 || 1440;
      for (const day of days) {
        const start = DAYS.indexOf(day) * 1440 + minuteOf(from);
        minutes.fill(true, start, start + length);
        if (start + length > WEEK_MINUTES) minutes.fill(true, 0, start + length - WEEK_MINUTES);
      }
    }
    return minutes;
  }

  /** All runs around an instant, by trying each minute, in a time zone that has no changes. */
  function allRuns(id: string, schedule: Schedule, from: number, until: number): number[] {
    const minutes = minutesOf(schedule.blackout);
    if (!minutes.includes(false)) return [];
    // 1970-01-01 was a Thursday.
    const isOut = (at: number): boolean =>
      minutes[(Math.floor(at / MINUTE) + 3 * 1440) % WEEK_MINUTES] === true;
    const delay = delayOf(id, schedule.jitter);
    const found: number[] = [];
    const due = new Cron(schedule.cron ?? '', { mode: '5-part', timezone: 'UTC', paused: true });
    for (let at = due.nextRun(new Date(from)); at && at.getTime() < until; at = due.nextRun(at)) {
      let run = at.getTime() + delay;
      if (isOut(run)) {
        let end = Math.floor(run / MINUTE) * MINUTE;
        while (isOut(end)) end += MINUTE;
        let room = 0;
        while (room < schedule.jitter && !isOut(end + room)) room += MINUTE;
        run = end + delayOf(id, Math.min(room, schedule.jitter));
      }
      found.push(run);
    }
    return found;
  }

  it('has as its next run the first of all that come later', () => {
    fc.assert(
      fc.property(vmId, cron, jitter, blackout, after, (id, cronText, jitterMs, windows, at) => {
        const schedule = scheduled(cronText, { jitter: jitterMs, blackout: windows });
        const next = nextRun(id, schedule, new Date(at))?.getTime();
        // Of what happens once in four years, one look is enough.
        const until = Math.max(next ?? 0, at) + 3 * DAY;
        const reach = 10 * DAY + jitterMs;
        const all = allRuns(id, schedule, at - reach, Math.min(until, at + 40 * DAY));
        const later = all.filter((run) => run > at);
        if (next === undefined) expect(later).toEqual([]);
        else if (next < at + 30 * DAY) expect(next).toBe(Math.min(...later));
        else expect(later.filter((run) => run < at + 30 * DAY)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('comes later, in no blackout as the wall clock shows it, and no more than its jitter late', () => {
    const zone = fc.constantFrom(BERLIN, 'America/New_York', 'Australia/Lord_Howe', 'UTC');
    // Around the changes of clocks.
    const near = fc
      .tuple(
        fc.constantFrom('2026-03-08', '2026-03-29', '2026-04-05', '2026-10-04', '2026-10-25', '2026-11-01'),
        fc.integer({ min: -2 * DAY, max: 2 * DAY }),
      )
      .map(([date, offset]) => Date.parse(date) + offset);
    fc.assert(
      fc.property(
        vmId,
        cron,
        jitter,
        blackout,
        near,
        zone,
        (id, cronText, jitterMs, windows, at, timezone) => {
          const schedule = scheduled(cronText, { timezone, jitter: jitterMs, blackout: windows });
          const next = nextRun(id, schedule, new Date(at))?.getTime();
          if (next === undefined) return;
          expect(next).toBeGreaterThan(at);
          const minutes = minutesOf(windows);
          const clock = new Intl.DateTimeFormat('en', {
            ...{ timeZone: timezone, hourCycle: 'h23', weekday: 'short', hour: '2-digit', minute: '2-digit' },
          });
          const isOut = (ms: number): boolean => {
            const [, day = '', time = ''] = /^(\w{3}),? (\d\d:\d\d)$/.exec(clock.format(ms)) ?? [];
            return minutes[DAYS.indexOf(day.toLowerCase() as Day) * 1440 + minuteOf(time)] === true;
          };
          expect(isOut(next)).toBe(false);
          const due = new Cron(cronText, {
            mode: '5-part',
            timezone,
            paused: true,
            fixedTimeRule: 'no-wildcard',
          });
          const base = next - delayOf(id, jitterMs);
          if (due.nextRun(new Date(base - 1))?.getTime() === base) return;
          // It was held back: a blackout ended no longer ago than its jitter, and an hour where clocks are changed.
          let ago = MINUTE;
          while (ago <= jitterMs + HOUR + MINUTE && !isOut(next - ago)) ago += MINUTE;
          expect(ago).toBeLessThanOrEqual(jitterMs + HOUR + MINUTE);
        },
      ),
      { numRuns: 200 },
    );
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import type { Schedule } from './schedule.ts';
import { Timetable } from './timetable.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 10, 27, 0, 0);
const DAILY: Schedule = { cron: '30 3 * * *', jitter: 0, blackout: [] };

/** A clock that can be set, and timers that go by another which cannot. */
class FakeTime {
  wall = START;
  private steady = 0;
  private timer: { readonly at: number; readonly run: () => void } | undefined;
  readonly sleeps: number[] = [];

  readonly clock = (): number => this.wall;

  readonly setTimer = (run: () => void, ms: number): (() => void) => {
    const timer = { at: this.steady + ms, run };
    this.timer = timer;
    this.sleeps.push(ms);
    return () => {
      if (this.timer === timer) this.timer = undefined;
    };
  };

  get isWaiting(): boolean {
    return this.timer !== undefined;
  }

  pass(ms: number): void {
    const until = this.steady + ms;
    for (let { timer } = this; timer && timer.at <= until; timer = this.timer) {
      this.wall += timer.at - this.steady;
      this.steady = timer.at;
      this.timer = undefined;
      timer.run();
    }
    this.wall += until - this.steady;
    this.steady = until;
  }
}

let time: FakeTime;
let due: string[];
let timetable: Timetable;
beforeEach(() => {
  time = new FakeTime();
  due = [];
  const onDue = (vmId: string): void =>
    void due.push(`${vmId} ${new Date(time.wall).toISOString().slice(5, 16)}`);
  timetable = new Timetable({ clock: time.clock, setTimer: time.setTimer, onDue });
});

describe('a timetable', () => {
  it('calls each VM when it is due, and says when that is', () => {
    timetable.set('a', DAILY);
    timetable.set('b', { ...DAILY, cron: '0 */12 * * *' });
    expect(timetable.next('a')).toEqual(new Date(START + 3.5 * HOUR));
    time.pass(DAY);
    expect(due).toEqual(['a 11-27T03:30', 'b 11-27T12:00', 'b 11-28T00:00']);
    expect(timetable.next('a')).toEqual(new Date(START + DAY + 3.5 * HOUR));
  });

  it('has nothing for a VM without a schedule, that never comes due, or that is not in it', () => {
    timetable.set('a', { jitter: 0, blackout: [] });
    timetable.set('b', { ...DAILY, cron: '0 0 31 2 *' });
    expect([timetable.next('a'), timetable.next('b'), timetable.next('c')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    time.pass(7 * DAY);
    expect(due).toEqual([]);
  });

  it('never sleeps for long, so that no timer is too far off', () => {
    timetable.set('a', { ...DAILY, cron: '0 0 1 1 *' });
    time.pass(34 * DAY);
    expect(Math.max(...time.sleeps)).toBe(MINUTE);
    expect(due).toEqual([]);
    time.pass(DAY);
    expect(due).toEqual(['a 01-01T00:00']);
  });

  it('makes up for what was missed before it began, by one run', () => {
    timetable.set('a', DAILY, new Date(START - 10 * DAY));
    timetable.set('b', DAILY, new Date(START - HOUR));
    time.pass(0);
    expect(due).toEqual(['a 11-27T00:00']);
    expect(timetable.next('a')).toEqual(new Date(START + 3.5 * HOUR));
  });

  it('does not make up for it in a blackout', () => {
    const blackout = [{ from: '23:00', to: '02:00' }];
    timetable.set('a', { ...DAILY, blackout }, new Date(START - 10 * DAY));
    time.pass(3 * HOUR);
    expect(due).toEqual(['a 11-27T02:00']);
  });

  it('follows a change of schedule, of which the past does not count', () => {
    timetable.set('a', DAILY);
    time.pass(12 * HOUR);
    timetable.set('a', { ...DAILY, cron: '0 11 * * *' });
    time.pass(HOUR);
    expect(due).toEqual(['a 11-27T03:30']);
    expect(timetable.next('a')).toEqual(new Date(START + DAY + 11 * HOUR));
    // One that comes sooner than what is slept for.
    timetable.set('b', { ...DAILY, cron: '* * * * *' });
    time.pass(MINUTE);
    expect(due.at(-1)).toBe('b 11-27T13:01');
  });

  it('keeps what is due through a reload that changes nothing', () => {
    const blackout = [{ from: '23:00', to: '02:00' }];
    timetable.set('a', { ...DAILY, blackout }, new Date(START - 10 * DAY));
    time.pass(HOUR);
    timetable.set('a', structuredClone({ ...DAILY, blackout }));
    time.pass(2 * HOUR);
    expect(due).toEqual(['a 11-27T02:00']);
  });

  it('forgets a VM that is gone, also when that happens while others are called', () => {
    timetable.set('a', DAILY);
    timetable.set('b', DAILY);
    timetable.delete('a');
    time.pass(DAY);
    expect(due).toEqual(['b 11-27T03:30']);
    const called: string[] = [];
    const strict = new Timetable({
      ...{ clock: time.clock, setTimer: time.setTimer },
      onDue: (vmId) => {
        called.push(vmId);
        strict.stop();
      },
    });
    strict.set('x', DAILY);
    strict.set('y', DAILY);
    time.pass(DAY);
    expect(called).toEqual(['x']);
    expect(time.isWaiting).toBe(false);
  });

  it('calls nobody after it was stopped', () => {
    timetable.set('a', DAILY);
    timetable.stop();
    expect(time.isWaiting).toBe(false);
    time.pass(DAY);
    expect(due).toEqual([]);
  });
});

describe('a clock that is set', () => {
  it('ten days ahead runs what was missed once', () => {
    timetable.set('a', DAILY);
    time.wall += 10 * DAY + 12 * HOUR;
    time.pass(MINUTE);
    expect(due).toEqual(['a 12-07T12:01']);
    time.pass(DAY);
    expect(due).toEqual(['a 12-07T12:01', 'a 12-08T03:30']);
  });

  it('ahead into a blackout runs it after that', () => {
    timetable.set('a', { ...DAILY, blackout: [{ from: '08:00', to: '18:00' }] });
    time.wall += DAY + 12 * HOUR;
    time.pass(DAY);
    expect(due).toEqual(['a 11-28T18:00', 'a 11-29T03:30']);
  });

  it.each([
    ['an hour', HOUR],
    ['a day', DAY],
  ])('%s back does not run twice what was run', (_, back) => {
    timetable.set('a', DAILY);
    time.pass(3.5 * HOUR);
    expect(due).toEqual(['a 11-27T03:30']);
    time.wall -= back;
    time.pass(back + HOUR);
    expect(due).toHaveLength(1);
    time.pass(DAY);
    expect(due).toEqual(['a 11-27T03:30', 'a 11-28T03:30']);
  });

  it('back from where it never should have been does not wait until then', () => {
    timetable.set('a', DAILY);
    time.wall += 365 * DAY;
    time.pass(HOUR);
    expect(due).toHaveLength(1);
    time.wall -= 365 * DAY;
    time.pass(DAY);
    expect(due.slice(1)).toEqual(['a 11-27T03:30']);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { check, LiveSettings } from '../config/index.ts';
import type { ScanRecord } from '../store/records.ts';
import type { GuestWatch } from './guest-watch.ts';
import type { JobOrder, ScanJob } from './scan-job.ts';
import { domainOf } from './testing/guests.ts';
import { memoryLogger } from './testing/requests.ts';
import { ManualTime } from './testing/time.ts';
import { type EndedScan, Triggers } from './triggers.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MIDNIGHT = Date.UTC(2026, 10, 27);
const web = domainOf('web');

let time: ManualTime;
let begun: JobOrder[];
let last: Pick<ScanRecord, 'startedAt'> | undefined;
let isConnected: boolean;
let settings: LiveSettings;
let triggers: Triggers;
let log: ReturnType<typeof memoryLogger>;

const settingsOf = (schedule: object) =>
  check([{ file: 'a.yaml', text: JSON.stringify({ schedule: { jitter: '1ms', ...schedule } }) }]);

async function begin(schedule: object = {}): Promise<void> {
  settings = new LiveSettings(await settingsOf(schedule));
  triggers = new Triggers({
    ...{ settings, clock: time.clock, setTimer: time.setTimer, logger: log.logger, random: () => 1 },
    guests: () => ({
      list: () =>
        [
          { domain: web, connection: { state: isConnected ? 'connected' : 'waiting', since: 0 } },
        ] as unknown as GuestWatch[],
    }),
    jobs: {
      begin: (order) => {
        begun.push(order);
        return {} as ScanJob;
      },
    },
    records: { scans: { lastOf: () => last } } as unknown as ConstructorParameters<
      typeof Triggers
    >[0]['records'],
  });
  triggers.enter(web);
}

const connects = (): void => {
  isConnected = true;
  triggers.connected(web);
};
const why = (): string[] => begun.map(({ trigger }) => trigger);

beforeEach(() => {
  time = new ManualTime(MIDNIGHT);
  begun = [];
  log = memoryLogger();
  last = undefined;
  isConnected = false;
});

describe('a guest that connects', () => {
  it('is scanned as it is met for the first time, in the mode of its policy', async () => {
    await begin();
    connects();
    expect(begun).toEqual([
      {
        ...{ vm: { id: web.id, name: 'web' }, trigger: 'first-sight', mode: 'detect' },
        ...{ dryRun: false, fresh: false, roots: [expect.anything()] },
      },
    ]);
  });

  it('is not when policy has it not, or it was scanned before', async () => {
    await begin({ onFirstSight: false });
    connects();
    last = { startedAt: MIDNIGHT - HOUR };
    await begin();
    connects();
    expect(begun).toEqual([]);
  });

  it('is scanned each time where policy has it so, but not soon after the scan before', async () => {
    last = { startedAt: MIDNIGHT - HOUR };
    await begin({ onConnect: true });
    connects();
    expect(why()).toEqual(['connect']);
    last = { startedAt: MIDNIGHT };
    connects();
    connects();
    expect(begun).toHaveLength(1);
    time.pass(MINUTE);
    expect(why()).toEqual(['connect', 'connect']);
  });

  it('takes nobody’s turn when its scans fail again and again', async () => {
    await begin();
    for (let times = 0; times < 60; times++) {
      connects();
      time.pass(1_000);
    }
    expect(why()).toEqual(['first-sight', 'first-sight']);
  });
});

describe('the clock', () => {
  it('has a guest scanned that is there, and one that is away when it is back', async () => {
    last = { startedAt: MIDNIGHT };
    await begin({ cron: '0 3 * * *' });
    connects();
    time.pass(3 * HOUR + MINUTE);
    expect(why()).toEqual(['schedule']);
    isConnected = false;
    time.pass(48 * HOUR);
    expect(begun).toHaveLength(1);
    connects();
    expect(why()).toEqual(['schedule', 'schedule']);
    connects();
    expect(begun).toHaveLength(2);
  });

  it('makes up for what was due while nobody looked at it', async () => {
    last = { startedAt: MIDNIGHT - 24 * HOUR };
    isConnected = true;
    await begin({ cron: '0 3 * * *' });
    expect(triggers.nextScan(web.id)?.getTime()).toBeLessThanOrEqual(MIDNIGHT);
    time.pass(MINUTE);
    expect(why()).toEqual(['schedule']);
  });

  it('goes by other settings as soon as they hold', async () => {
    last = { startedAt: MIDNIGHT };
    isConnected = true;
    await begin({ cron: '0 3 * * *' });
    settings.replace(await settingsOf({ cron: '0 5 * * *' }));
    triggers.enter(web);
    time.pass(4 * HOUR);
    expect(begun).toEqual([]);
    time.pass(2 * HOUR);
    expect(why()).toEqual(['schedule']);
  });
});

describe('a new pack', () => {
  it('has those scanned that were before, now or when they are back', async () => {
    last = { startedAt: MIDNIGHT };
    await begin();
    connects();
    triggers.packChanged();
    expect(why()).toEqual(['pack']);
    isConnected = false;
    triggers.packChanged();
    expect(begun).toHaveLength(1);
    connects();
    expect(why()).toEqual(['pack', 'pack']);
  });

  it('does not where policy has it not, nor for one that was never scanned', async () => {
    await begin();
    isConnected = true;
    triggers.packChanged();
    last = { startedAt: MIDNIGHT };
    await begin({ onNewPack: false });
    triggers.packChanged();
    expect(begun).toEqual([]);
  });
});

describe('a guest that was reverted', () => {
  it('is scanned when it is there anew', async () => {
    last = { startedAt: MIDNIGHT };
    await begin();
    connects();
    triggers.reverted(web.id);
    expect(begun).toEqual([]);
    connects();
    expect(why()).toEqual(['reverted']);
  });

  it('is scanned after a blackout as well, though it does not connect again', async () => {
    last = { startedAt: MIDNIGHT - HOUR };
    await begin({ blackout: [{ from: '00:00', to: '02:00' }] });
    triggers.reverted(web.id);
    connects();
    time.pass(HOUR);
    expect(begun).toEqual([]);
    time.pass(HOUR + MINUTE);
    expect(why()).toEqual(['reverted']);
  });
});

describe('a blackout', () => {
  const blackout = [{ from: '23:00', to: '02:00' }];

  it.each([{}, { cron: '30 12 * * *' }])('postpones what would begin in it (%j)', async (schedule) => {
    await begin({ ...schedule, blackout });
    connects();
    connects();
    time.pass(2 * HOUR - MINUTE);
    expect(begun).toEqual([]);
    time.pass(2 * MINUTE);
    expect(why()).toEqual(['first-sight']);
  });

  it('that other settings take away postpones nothing any more', async () => {
    await begin({ blackout });
    connects();
    settings.replace(await settingsOf({}));
    triggers.enter(web);
    expect(why()).toEqual(['first-sight']);
    time.pass(24 * HOUR);
    expect(begun).toHaveLength(1);
  });

  it('that has ended finds the guest away: it is scanned when it is back', async () => {
    await begin({ blackout });
    connects();
    isConnected = false;
    time.pass(3 * HOUR);
    expect(begun).toEqual([]);
    connects();
    expect(why()).toEqual(['first-sight']);
  });

  it('that never ends lets nothing begin', async () => {
    await begin({
      blackout: [
        { from: '00:00', to: '12:00' },
        { from: '12:00', to: '00:00' },
      ],
    });
    connects();
    time.pass(60 * 24 * HOUR);
    expect(begun).toEqual([]);
  });
});

describe('a guest that is looked after no more, and a service that stops', () => {
  it('owe nothing', async () => {
    await begin({ blackout: [{ from: '23:00', to: '02:00' }], cron: '0 3 * * *' });
    connects();
    triggers.leave(web.id);
    time.pass(24 * HOUR);
    expect(begun).toEqual([]);
    expect(triggers.nextScan(web.id)).toBeUndefined();
    triggers[Symbol.dispose]();
    connects();
    triggers.packChanged();
    triggers.enter(web);
    time.pass(24 * HOUR);
    expect(begun).toEqual([]);
    expect(time.waits).toEqual([]);
  });
});

describe('a scan that failed', () => {
  const ends = (state: EndedScan['state'], failure?: string, order = begun.at(-1)): void => {
    if (order) triggers.ended({ order, state, failure });
  };

  it('is tried again while its guest is there, later each time, and at last no more; that is said', async () => {
    await begin();
    connects();
    const waited: number[] = [];
    for (let tries = 1; tries <= 5; tries++) {
      ends('failed', 'silent');
      // The timetable looks at the clock every minute besides.
      const wait = time.waits.at(-1) ?? 0;
      waited.push(wait / MINUTE);
      time.pass(wait);
      expect(begun).toHaveLength(tries + 1);
    }
    expect(waited).toEqual([1, 2, 4, 8, 16]);
    ends('failed', 'silent');
    time.pass(48 * HOUR);
    expect(why()).toEqual(Array(6).fill('first-sight'));
    expect(log.lines).toMatchObject([{ level: 'warn', facts: { code: 'silent' } }]);
  });

  it('begins its count anew when one succeeds, and when it is due again', async () => {
    last = { startedAt: MIDNIGHT };
    isConnected = true;
    await begin({ cron: '0 3 * * *' });
    time.pass(3 * HOUR + MINUTE);
    for (let tries = 0; tries < 4; tries++) {
      ends('failed', 'silent');
      time.pass(16 * MINUTE);
    }
    ends('finished');
    ends('failed', 'silent');
    const soon = MINUTE;
    expect(Math.min(...time.waits)).toBe(soon);
    time.pass(soon);
    for (let tries = 0; tries < 5; tries++) {
      ends('failed', 'silent');
      time.pass(HOUR);
    }
    const before = begun.length;
    time.pass(24 * HOUR);
    expect(begun).toHaveLength(before + 1);
    ends('failed', 'silent');
    expect(Math.min(...time.waits)).toBe(soon);
  });

  it('waits for a guest that is away until it is back', async () => {
    await begin();
    connects();
    isConnected = false;
    ends('failed', 'session-lost');
    time.pass(HOUR);
    expect(begun).toHaveLength(1);
    connects();
    expect(why()).toEqual(['first-sight', 'first-sight']);
  });

  it('is tried again no sooner by a guest that comes and goes', async () => {
    await begin();
    connects();
    ends('failed', 'silent');
    for (let times = 0; times < 30; times++) {
      connects();
      time.pass(1_000);
    }
    expect(begun).toHaveLength(1);
  });

  it('that was asked for, was cancelled, or cannot succeed is not tried again', async () => {
    await begin();
    connects();
    ends('cancelled');
    ends('failed', 'not-permitted');
    const [first] = begun;
    ends('failed', 'silent', first && { ...first, trigger: 'manual' });
    ends('failed', 'silent', first && { ...first, vm: { id: 'gone', name: 'gone' } });
    time.pass(48 * HOUR);
    expect(begun).toHaveLength(1);
  });

  it('is not tried again in a blackout', async () => {
    await begin({ blackout: [{ from: '00:05', to: '02:00' }] });
    connects();
    time.pass(5 * MINUTE - 30_000);
    ends('failed', 'silent');
    time.pass(HOUR);
    expect(begun).toHaveLength(1);
    time.pass(HOUR);
    expect(begun).toHaveLength(2);
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChannelError } from '../channel/error.ts';
import { HypervisorError } from '../hypervisor/error.ts';
import type { HostDomain } from '../hypervisor/port.ts';
import { GuestWatch } from './guest-watch.ts';
import { domainOf, type MemorySession, MemorySessions, without } from './testing/guests.ts';
import { memoryLogger } from './testing/requests.ts';
import { ManualTime, settled } from './testing/time.ts';

const HOUR = 3_600_000;
const web = domainOf('web');

let time: ManualTime;
let sessions: MemorySessions;
let log: ReturnType<typeof memoryLogger>;
let watch: GuestWatch;
let connected: number;
let again: boolean[];

const begin = (domain: HostDomain): GuestWatch => {
  watch = new GuestWatch(domain, {
    ...{ sessions, clock: time.clock, setTimer: time.setTimer, logger: log.logger, random: () => 0 },
    gate: (failed, _signal, work) => {
      again.push(failed);
      return work();
    },
    onConnected: () => {
      connected += 1;
    },
  });
  return watch;
};

beforeEach(() => {
  time = new ManualTime(HOUR);
  sessions = new MemorySessions();
  log = memoryLogger();
  connected = 0;
  again = [];
});
afterEach(() => watch.close());

const accept = async (): Promise<MemorySession> => {
  const session = sessions.last.accept();
  await settled();
  return session;
};
const refuse = async (code: ConstructorParameters<typeof ChannelError>[0] = 'no-agent'): Promise<void> => {
  sessions.last.refuse(new ChannelError(code, `it is ${code}`));
  await settled();
};
const pass = async (milliseconds: number): Promise<void> => {
  time.pass(milliseconds);
  await settled();
};

describe('a guest that answers', () => {
  it('is connected for as long as it can be', async () => {
    begin(web);
    expect(watch.connection.state).toBe('connecting');
    const session = await accept();
    expect(watch.connection).toEqual({ state: 'connected', since: HOUR });
    expect(connected).toBe(1);
    await pass(HOUR);
    expect(sessions.asked).toHaveLength(1);
    session.end(new ChannelError('silent', 'nothing was heard'));
    await settled();
    expect(watch.connection).toMatchObject({ state: 'waiting', error: { code: 'silent' } });
    await pass(500);
    expect(sessions.asked).toHaveLength(2);
    await accept();
    expect(connected).toBe(2);
  });

  it('is let go when the watch ends, and not tried again', async () => {
    begin(web);
    const session = await accept();
    await watch.close();
    expect(session.disposals).toBe(1);
    await pass(HOUR);
    expect(sessions.asked).toHaveLength(1);
  });

  it('is let go while it connects', async () => {
    begin(web);
    await watch.close();
    expect(sessions.last.signal.aborted).toBe(true);
    expect(log.lines).toEqual([]);
  });

  it('gets a new session on request', async () => {
    begin(web);
    await accept();
    await watch.renew();
    await settled();
    expect(sessions.asked).toHaveLength(2);
    expect(sessions.dropped).toEqual([web.id]);
  });

  it('gets a new session when it is another generation', async () => {
    begin(web);
    await accept();
    watch.update({ ...web, generation: 2 });
    await settled();
    expect(sessions.dropped).toEqual([web.id]);
    expect(sessions.asked).toHaveLength(2);
    watch.update({ ...web, generation: 2, title: 'another title' });
    await settled();
    expect(sessions.dropped).toHaveLength(1);
  });
});

describe('a guest that does not answer', () => {
  it('is tried again at longer and longer intervals, a minute at most', async () => {
    begin(web);
    const waits: (number | undefined)[] = [];
    for (let failures = 0; failures < 9; failures++) {
      await refuse();
      const [wait = 0] = time.waits;
      waits.push(wait);
      await pass(wait);
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(again).toEqual([false, ...Array(9).fill(true)]);
  });

  it('is said once, whatever else it does', async () => {
    begin(web);
    for (const code of ['no-agent', 'no-agent', 'silent', 'no-agent', 'silent'] as const) {
      await refuse(code);
      await pass(60_000);
    }
    expect(log.lines.map(({ message }) => message)).toEqual([
      'web is not connected: it is no-agent',
      'web is not connected: it is silent',
    ]);
  });

  it('is tried at once when its hypervisor tells of a change, not of another title', async () => {
    begin(web);
    for (let failures = 0; failures < 5; failures++) {
      await refuse();
      await pass(time.waits[0] ?? 0);
    }
    await refuse();
    watch.update({ ...web, title: 'another title' });
    await settled();
    expect(sessions.asked).toHaveLength(6);
    watch.update({ ...web, port: 'unknown' });
    await settled();
    expect(sessions.asked).toHaveLength(7);
    await refuse();
    expect(time.waits).toEqual([500]);
  });

  it('is not tried while nobody could answer', async () => {
    begin(without(web, { state: 'off', port: 'absent' }));
    await pass(HOUR);
    expect({ asked: sessions.asked, state: watch.connection.state }).toEqual({ asked: [], state: 'waiting' });
    watch.update({ ...web, state: 'paused' });
    await pass(HOUR);
    watch.update({ ...web, port: 'disconnected' });
    await pass(HOUR);
    expect(sessions.asked).toEqual([]);
    watch.update(web);
    await settled();
    expect(sessions.asked).toHaveLength(1);
  });

  it('is told why its channel cannot be used, once', async () => {
    const fault = new HypervisorError('port-in-use', 'a port of that name is there');
    begin(without(web, { port: 'absent', fault }));
    await settled();
    expect(watch.connection).toMatchObject({ state: 'waiting', error: { code: 'port-in-use' } });
    watch.update(without(web, { port: 'absent', fault, generation: 2 }));
    await settled();
    expect(log.lines).toHaveLength(1);
    watch.update(web);
    await settled();
    expect(sessions.asked).toHaveLength(1);
  });

  it.each(['key-changed', 'not-enrolled', 'identity-mismatch', 'token-used', 'token-unknown'] as const)(
    'as it may not (%s) is refused until a person acts',
    async (code) => {
      begin(web);
      await refuse(code);
      expect(watch.connection).toMatchObject({ state: 'refused', error: { code } });
      await watch.renew();
      await settled();
      await accept();
      expect(watch.connection.state).toBe('connected');
    },
  );
});

describe('a guest that comes and goes', () => {
  it('is waited for longer each time, and does not fill the log', async () => {
    begin(web);
    for (let times = 0; times < 6; times++) {
      const session = await accept();
      session.end(new ChannelError('protocol-violation', 'it lied'));
      await settled();
      if (times < 5) await pass(time.waits[0] ?? 0);
    }
    expect(time.waits).toEqual([16_000]);
    expect(log.lines.map(({ message }) => message)).toEqual([
      'web is connected',
      'web is not connected: it lied',
    ]);
  });

  it('is a good one again after a session that lasted', async () => {
    begin(web);
    for (let times = 0; times < 3; times++) {
      (await accept()).end(new ChannelError('session-lost', 'it broke'));
      await settled();
      await pass(time.waits[0] ?? 0);
    }
    const good = await accept();
    await pass(60_000);
    good.end(new ChannelError('session-lost', 'it broke'));
    await settled();
    expect(time.waits).toEqual([500]);
    await pass(500);
    await accept();
    expect(log.lines.at(-1)?.message).toBe('web is connected');
    expect(log.lines).toHaveLength(4);
  });

  it('shows its name in a harmless way', async () => {
    begin(domainOf('we\x1b[2Jb'));
    await accept();
    expect(log.lines[0]?.message).toBe('we\\x1b[2Jb is connected');
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { unixAddress } from './datagram.ts';
import { Notifier } from './notify.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const void *address, uint32_t length)');
const recv = libc.func('intptr_t recv(int fd, _Out_ void *buffer, size_t length, int flags)');
const close = libc.func('int close(int fd)');

/** The end of the socket that systemd has. */
class Receiver {
  private readonly descriptor: number = socket(AF_UNIX, SOCK_DGRAM, 0);

  constructor(name: string) {
    const address = unixAddress(name);
    if (!address || bind(this.descriptor, address, address.length) !== 0) throw new Error(`no bind: ${name}`);
  }

  /** All that has come. */
  messages(): string[] {
    const all: string[] = [];
    const buffer = Buffer.alloc(4096);
    for (;;) {
      const length = Number(recv(this.descriptor, buffer, buffer.length, MSG_DONTWAIT));
      if (length < 0) return all;
      all.push(buffer.toString('utf8', 0, length));
    }
  }

  [Symbol.dispose](): void {
    close(this.descriptor);
  }
}

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'notify-'));
  path = join(directory, 's');
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

describe('under systemd', () => {
  it.each([
    ['a path', () => path],
    ['an abstract name', () => `@lazaret-test-${process.pid}`],
  ])('each state arrives at %s', (_, name) => {
    using receiver = new Receiver(name());
    const notifier = new Notifier({ NOTIFY_SOCKET: name() });
    notifier.ready('12 VMs');
    notifier.status('3 scans — läuft');
    const before = process.hrtime.bigint() / 1000n;
    notifier.reloading();
    notifier.stopping();
    const [ready, status, reloading = '', stopping, ...rest] = receiver.messages();
    expect([ready, status, stopping]).toEqual([
      'READY=1\nSTATUS=12 VMs',
      'STATUS=3 scans — läuft',
      'STOPPING=1',
    ]);
    const [, time = ''] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading) ?? [];
    expect(BigInt(time)).toBeGreaterThanOrEqual(before);
    expect(rest).toEqual([]);
  });

  it('no status can say more than a status', () => {
    using receiver = new Receiver(path);
    new Notifier({ NOTIFY_SOCKET: path }).status('vm\nMAINPID=1\u001b[2J');
    const [message = ''] = receiver.messages();
    expect(message.startsWith('STATUS=vm')).toBe(true);
    expect(message).not.toMatch(/\p{Cc}/u);
  });

  it('children inherit nothing of it', () => {
    using _receiver = new Receiver(path);
    const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '1', WATCHDOG_PID: '1', HOME: '/' };
    new Notifier(environment);
    expect(environment).toEqual({ HOME: '/' });
  });

  it('a socket that is gone is an error, not silence', () => {
    const notifier = new Notifier({ NOTIFY_SOCKET: path });
    expect(() => notifier.ready('')).toThrow(
      expect.objectContaining({ code: 'not-delivered', cause: expect.objectContaining({ code: 'ENOENT' }) }),
    );
  });
});

it('is not held up for ever by a systemd that does not read', () => {
  using receiver = new Receiver(path);
  const notifier = new Notifier({ NOTIFY_SOCKET: path });
  const fill = (): never => {
    for (;;) notifier.status('x');
  };
  expect(fill).toThrow(
    expect.objectContaining({ code: 'not-delivered', cause: expect.objectContaining({ code: 'EAGAIN' }) }),
  );
  expect(receiver.messages()).toContain('STATUS=x');
  notifier.status('again');
  expect(receiver.messages()).toEqual(['STATUS=again']);
});

describe('the watchdog', () => {
  const supervised = (usec: string, pid?: string): Notifier =>
    new Notifier({ NOTIFY_SOCKET: path, WATCHDOG_USEC: usec, ...(pid && { WATCHDOG_PID: pid }) });

  it('is fed at once and twice in its time, as long as all is well', () => {
    vi.useFakeTimers();
    using receiver = new Receiver(path);
    let healthy = true;
    const faults: unknown[] = [];
    const isHealthy = (): boolean => healthy;
    const watching = supervised('30000000', String(process.pid)).watch(isHealthy, (error) =>
      faults.push(error),
    );
    expect(receiver.messages()).toEqual(['WATCHDOG=1']);
    vi.advanceTimersByTime(60_000);
    expect(receiver.messages()).toHaveLength(4);
    healthy = false;
    vi.advanceTimersByTime(60_000);
    expect(receiver.messages()).toEqual([]);
    healthy = true;
    vi.advanceTimersByTime(15_000);
    expect(receiver.messages()).toEqual(['WATCHDOG=1']);
    watching[Symbol.dispose]();
    vi.advanceTimersByTime(60_000);
    expect(receiver.messages()).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('goes hungry when health cannot be told, and says why', () => {
    vi.useFakeTimers();
    using receiver = new Receiver(path);
    const faults: unknown[] = [];
    const unknown = (): boolean => {
      throw new Error('no idea');
    };
    using _ = supervised('2000000').watch(unknown, (error) => faults.push(error));
    vi.advanceTimersByTime(1000);
    expect(receiver.messages()).toEqual([]);
    expect(faults).toMatchObject([{ message: 'no idea' }, { message: 'no idea' }]);
  });

  it('survives that systemd is away for a while', () => {
    vi.useFakeTimers();
    const faults: unknown[] = [];
    using _ = supervised('2000000').watch(
      () => true,
      (error) => faults.push(error),
    );
    expect(faults).toMatchObject([{ code: 'not-delivered' }]);
    using receiver = new Receiver(path);
    vi.advanceTimersByTime(1000);
    expect(receiver.messages()).toEqual(['WATCHDOG=1']);
  });

  it("is nobody else's, and never asks for more than timers hold", () => {
    expect(supervised('30000000', '1').watchdogMs).toBeUndefined();
    expect(supervised('9000000000000000000').watchdogMs).toBe(2 ** 31 - 1);
    expect(supervised('1').watchdogMs).toBe(1);
  });
});

it('without systemd nothing is said, and nothing is watched', () => {
  vi.useFakeTimers();
  const notifier = new Notifier({ WATCHDOG_USEC: '1000000' });
  notifier.ready('x');
  notifier.reloading();
  notifier.stopping();
  let asked = 0;
  notifier.watch(
    () => ++asked > 0,
    () => undefined,
  );
  vi.advanceTimersByTime(10_000);
  expect(asked).toBe(0);
});

it.each([
  ['relative', 'run/notify'],
  ['empty', ''],
  ['only an @', '@'],
  ['too long', `/${'x'.repeat(107)}`],
  ['a port of a hypervisor', 'vsock:2:1234'],
])('a NOTIFY_SOCKET that is %s is refused', (_, name) => {
  expect(() => new Notifier({ NOTIFY_SOCKET: name })).toThrow(
    expect.objectContaining({ code: 'bad-environment', message: expect.stringContaining('NOTIFY_SOCKET') }),
  );
});

it('a path of the greatest length is none of these', () => {
  expect(unixAddress(`/${'x'.repeat(106)}`)).toHaveLength(2 + 108);
  expect(unixAddress('@ab')).toEqual(Buffer.from([1, 0, 0, 0x61, 0x62]));
});

it.each(['', '0', '-1', '1e6', 'soon'])('a WATCHDOG_USEC of %j is refused', (interval) => {
  const environment = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: interval };
  expect(() => new Notifier(environment)).toThrow(expect.objectContaining({ code: 'bad-environment' }));
});

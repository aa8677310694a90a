import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, makeAuthority } from '../../../test/events/authority.ts';
import { stored } from '../../../test/events/events.ts';
import { datagramReceiver, syslogReceiver } from '../../../test/events/receivers.ts';
import { DeliveryError } from '../../error.ts';
import { type SyslogOptions, syslogOutlet } from './syslog.ts';
import { syslogFormat } from './syslog-message.ts';

let directory: string;
let authority: Authority;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-syslog-'));
  authority = await makeAuthority(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

const NEVER = new AbortController().signal;
const EVENTS = [stored(1), stored(2, { message: 'zwei\nΩ' }), stored(3)];
const deliver = (options: SyslogOptions, events = EVENTS, signal = NEVER) =>
  syslogOutlet({ hostname: 'kvm-1', ...options }).deliver(events, signal);
const failure = (options: SyslogOptions, signal = NEVER): Promise<unknown> =>
  deliver(options, EVENTS, signal).then(
    () => 'it was delivered',
    (error: unknown) => error,
  );
const expected = (events = EVENTS) => events.map(syslogFormat({ hostname: 'kvm-1' }));

describe('over TCP', () => {
  test('every message arrives whole, framed by its length', async () => {
    await using receiver = await syslogReceiver();
    await deliver({ address: `tcp://127.0.0.1:${receiver.port}` });
    expect(receiver.messages).toEqual(expected());
  });

  test('more than a socket buffer holds arrives', async () => {
    const events = Array.from({ length: 500 }, (_, index) => stored(index, { message: 'x'.repeat(20_000) }));
    await using receiver = await syslogReceiver();
    await deliver({ address: `tcp://127.0.0.1:${receiver.port}` }, events);
    expect(receiver.messages).toEqual(expected(events));
  });

  test('a host can be a name or an IPv6 address', async () => {
    await using receiver = await syslogReceiver();
    await deliver({ address: `TCP://localhost:${receiver.port}/` });
    expect(receiver.messages).toHaveLength(3);
    expect(await failure({ address: 'tcp://[::1]:1' })).toMatchObject({ code: 'unreachable' });
  });

  test.each<[string, (socket: Socket) => void]>([
    ['takes it and hangs up at once, as a balancer with nobody behind it does', (socket) => socket.end()],
    ['resets the connection', (socket) => socket.resetAndDestroy()],
    ['goes away after the first bytes', (socket) => socket.once('data', () => socket.destroy())],
    ['ends its side when it has read something', (socket) => socket.once('data', () => socket.end())],
  ])('who %s has not got it', async (_, handle) => {
    await using receiver = await syslogReceiver({ handle });
    expect(await failure({ address: `tcp://127.0.0.1:${receiver.port}` })).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(`127.0.0.1:${receiver.port}`),
    });
  });

  test('who never closes has not confirmed, and counts as having it when that is configured', async () => {
    const silent = (socket: Socket) => {
      socket.allowHalfOpen = true;
      socket.resume();
    };
    await using receiver = await syslogReceiver({ handle: silent });
    const address = `tcp://127.0.0.1:${receiver.port}`;
    expect(await failure({ address, timeout: 200 })).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('in time'),
    });
    await deliver({ address, confirm: false });
  });

  test('nobody there is said; an abort ends it', async () => {
    const gone = await syslogReceiver();
    await gone[Symbol.asyncDispose]();
    const error = await failure({ address: `tcp://127.0.0.1:${gone.port}` });
    expect(error).toBeInstanceOf(DeliveryError);
    expect(error).toMatchObject({ code: 'unreachable', cause: { code: 'ECONNREFUSED' } });
    const accepted = Promise.withResolvers<void>();
    await using receiver = await syslogReceiver({
      handle: (socket) => {
        socket.allowHalfOpen = true;
        accepted.resolve();
      },
    });
    const abort = new AbortController();
    const pending = failure({ address: `tcp://127.0.0.1:${receiver.port}` }, abort.signal);
    await accepted.promise;
    abort.abort();
    expect(await pending).toMatchObject({ code: 'unreachable' });
    expect(await failure({ address: `tcp://127.0.0.1:${receiver.port}` }, abort.signal)).toMatchObject({
      code: 'unreachable',
    });
  });
});

describe('over TLS', () => {
  const clientPair = () => ({ cert: authority.client.cert, key: authority.client.key });

  test('every message arrives, to a receiver that the authority knows', async () => {
    await using receiver = await syslogReceiver({ authority, clientCertificate: true });
    await deliver({ address: `tls://127.0.0.1:${receiver.port}`, ca: authority.ca, ...clientPair() });
    expect(receiver.messages).toEqual(expected());
  });

  test('nothing is sent to one that it does not know', async () => {
    await using receiver = await syslogReceiver({ authority });
    expect(await failure({ address: `tls://127.0.0.1:${receiver.port}` })).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('certificate'),
    });
    expect(await failure({ address: `tls://localhost:${receiver.port}`, ca: authority.ca })).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('altnames'),
    });
    expect(receiver.messages).toEqual([]);
  });

  test('one that asks for a certificate in vain has not got it', async () => {
    await using receiver = await syslogReceiver({ authority, clientCertificate: true });
    const error = await failure({ address: `tls://127.0.0.1:${receiver.port}`, ca: authority.ca });
    expect(error).toMatchObject({ code: 'unreachable' });
    expect(receiver.messages).toEqual([]);
  });

  test('a receiver without TLS, and a file that is not there, are said', async () => {
    await using receiver = await syslogReceiver({ handle: (socket) => socket.resume() });
    const address = `tls://127.0.0.1:${receiver.port}`;
    expect(await failure({ address, ca: authority.ca, timeout: 500 })).toMatchObject({ code: 'unreachable' });
    expect(await failure({ address, ca: join(directory, 'no.pem') })).toMatchObject({
      code: 'bad-options',
      message: expect.stringContaining('no.pem'),
    });
  });
});

describe('over UDP', () => {
  test('each message is a datagram', async () => {
    await using receiver = await datagramReceiver();
    await deliver({ address: `udp://127.0.0.1:${receiver.port}` });
    for (const message of expected()) expect(await receiver.next()).toBe(message);
  });

  test('an event that fits into no datagram is refused, not cut', async () => {
    await using receiver = await datagramReceiver();
    const address = `udp://127.0.0.1:${receiver.port}`;
    await expect(deliver({ address }, [stored(1, { message: 'x'.repeat(70_000) })])).rejects.toMatchObject({
      code: 'refused',
    });
  });

  test('a name that nobody knows is unreachable', async () => {
    expect(await failure({ address: 'udp://nobody.invalid:514' })).toMatchObject({ code: 'unreachable' });
  });
});

test.each([
  '',
  'host',
  'tcp://host',
  'http://host:1',
  'tcp://user@host:1',
  'tcp://h:1/x',
  'tcp://a b:1',
  'tcp://h:123456',
  'tcp://h:0',
  'tcp://h:70000',
])('%j is no address', (address) => {
  expect(() => syslogOutlet({ address })).toThrow(expect.objectContaining({ code: 'bad-options' }));
});

/** Those who connect and do not ask, or begin and do not go on: their places and descriptors come back by themselves. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Certificate, selfSigned } from '../testing/certificates.ts';
import { MemoryOperations } from '../testing/operations.ts';
import { ask, type Line, memoryLogger } from '../testing/requests.ts';
import type { LimitOptions } from './limits.ts';
import { type Api, startApi } from './server.ts';

const SECRET = 's'.repeat(40);
const MANY = 24;
const SHORT = { headers: 80, handshake: 80, request: 200, idle: 80 };
/** Longer than any test: what comes back then did not come back by a deadline. */
const LONG = { headers: 600_000, handshake: 600_000, request: 600_000, idle: 600_000 };

let certificate: Certificate;
let directory: string;
let socketPath: string;
let port: number;
let operations: MemoryOperations;
let api: Api;
let lines: Line[];
let attackers: Socket[];

async function start(limits: LimitOptions): Promise<void> {
  const { logger, lines: logged } = memoryLogger();
  lines = logged;
  operations = new MemoryOperations();
  api = await startApi(operations, {
    ...{ limits, logger, uploads: directory, unix: { path: socketPath, mode: 0o600 } },
    tcp: {
      ...{ host: '127.0.0.1', port: 0, tls: { cert: certificate.cert, key: certificate.key } },
      ...{ tokens: [{ name: 'it', role: 'admin', secret: SECRET }], certificates: [] },
    },
  });
  port = Number(api.addresses[1]?.split(':').at(-1));
}

beforeAll(async () => {
  certificate = await selfSigned('server');
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'api-'));
  socketPath = join(directory, 'api.sock');
  attackers = [];
});
afterEach(async () => {
  for (const socket of attackers) socket.destroy();
  await api.close();
  await rm(directory, { recursive: true });
});

const descriptors = (): number => readdirSync('/proc/self/fd').length;
const headers = { authorization: `Bearer ${SECRET}` };
const overTls = () => ask({ port, ca: certificate.cert }, { path: '/v1/vms', headers });
const overUnix = () => ask({ socketPath }, { path: '/v1/vms' });

/** One that never closes its side, whatever the other one does. */
async function attacker(begin: Buffer | string, to: object): Promise<Socket> {
  const socket = connect({ allowHalfOpen: true, ...(to as { path: string }) });
  attackers.push(socket);
  socket.on('error', () => undefined).resume();
  await once(socket, 'connect');
  if (begin.length > 0) socket.write(begin);
  return socket;
}

async function tlsAttacker(begin: string): Promise<Socket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: certificate.cert, allowHalfOpen: true } as object);
  attackers.push(socket);
  socket.on('error', () => undefined).resume();
  await once(socket, 'secureConnect');
  if (begin.length > 0) socket.write(begin);
  return socket;
}

/** Resolves when the other side has ended or cut it. */
const cutOff = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('end', resolve).once('close', () => resolve());
  });

const CLIENT_HELLO_BEGUN = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]);
const HALF_A_HEADER = 'GET /v1/vms HTTP/1.1\r\nhost: x\r\nx-slow: ';
const HALF_A_BODY = `POST /v1/scans HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer ${SECRET}\r\ncontent-length: 100\r\n\r\n{"vm"`;
const HALF_A_PACK = HALF_A_BODY.replace('/v1/scans', '/v1/packs').replace('json', 'octet-stream');

const WAYS: Record<string, { attack: () => Promise<Socket>; proper: () => Promise<{ status: number }> }> = {
  'TCP, silent': { attack: () => attacker('', { port, host: '127.0.0.1' }), proper: overTls },
  'TCP, half a handshake': {
    attack: () => attacker(CLIENT_HELLO_BEGUN, { port, host: '127.0.0.1' }),
    proper: overTls,
  },
  'TCP, what is no TLS': {
    attack: () => attacker('GET / HTTP/1.1', { port, host: '127.0.0.1' }),
    proper: overTls,
  },
  'TLS, silent': { attack: () => tlsAttacker(''), proper: overTls },
  'TLS, half a header': { attack: () => tlsAttacker(HALF_A_HEADER), proper: overTls },
  'a unix socket, silent': { attack: () => attacker('', { path: socketPath }), proper: overUnix },
  'a unix socket, half a header': {
    attack: () => attacker(HALF_A_HEADER, { path: socketPath }),
    proper: overUnix,
  },
};

describe.each(Object.entries(WAYS))('over %s', (_way, { attack, proper }) => {
  it('many take no place from one who asks, though no deadline has passed', async () => {
    await start({ connections: MANY, connectionsFromOne: MANY, timeouts: LONG });
    for (let n = 0; n < MANY + 4; n++) await attack();
    expect((await proper()).status).toBe(200);
  });

  it('each is cut at its deadline, and its descriptor is back', async () => {
    await start({ connections: MANY, connectionsFromOne: MANY, timeouts: SHORT });
    await proper();
    const before = descriptors();
    for (let n = 0; n < MANY; n++) await attack();
    // Their own ends stay open: what is left is theirs alone.
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + attackers.length);
    for (const socket of attackers) socket.destroy();
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before);
    expect((await proper()).status).toBe(200);
  });
});

describe('one address', () => {
  it('has no more than its share, whatever it does, and takes nothing of others', async () => {
    await start({ connections: 6, connectionsFromOne: 3, timeouts: LONG });
    const other = await attacker('', { port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    const first = await attacker('', { port, host: '127.0.0.1' });
    const cut = cutOff(first);
    for (let n = 0; n < 8; n++) await attacker('', { port, host: '127.0.0.1' });
    await cut;
    expect((await overTls()).status).toBe(200);
    expect(other.readableEnded).toBe(false);
  });
});

describe('one who is known', () => {
  it('keeps the connection on which they are being answered', async () => {
    await start({ connections: 3, timeouts: LONG });
    await operations.startScan({ vm: 'web-1' });
    const followed = ask({ socketPath }, { path: '/v1/scans/scan-1/events' });
    await expect.poll(() => operations.followersOf('scan-1')).toBe(1);
    for (let n = 0; n < 8; n++) await attacker(HALF_A_HEADER, { path: socketPath });
    operations.end('scan-1');
    expect((await followed).text).toContain('event: ended');
  });

  it('makes way when they wait between requests and nobody is unknown', async () => {
    await start({ connections: 2, timeouts: { ...LONG, keepAlive: 600_000 } });
    const idle = await attacker('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n', { path: socketPath });
    const ended = cutOff(idle);
    await once(idle, 'data');
    await operations.startScan({ vm: 'web-1' });
    const followed = ask({ socketPath }, { path: '/v1/scans/scan-1/events' });
    await expect.poll(() => operations.followersOf('scan-1')).toBe(1);
    expect((await overUnix()).status).toBe(200);
    await ended;
    operations.end('scan-1');
    await followed;
  });
});

describe('a body', () => {
  it.each([
    ['that stops', HALF_A_BODY],
    ['of a pack that stops', HALF_A_PACK],
  ])('%s is cut, and its place is free', async (_what, begin) => {
    await start({ uploads: 1, timeouts: SHORT });
    const before = descriptors();
    await attacker(begin, { path: socketPath });
    await tlsAttacker(begin);
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + attackers.length);
    for (const socket of attackers) socket.destroy();
    await expect.poll(descriptors).toBeLessThanOrEqual(before);
    const pack = { 'content-type': 'application/octet-stream' };
    const sent = await ask({ socketPath }, { method: 'POST', path: '/v1/packs', headers: pack, body: 'a' });
    expect(sent.status).toBe(200);
    expect(lines.filter(({ message }) => message === 'api request failed')).toEqual([]);
    expect((await readdir(directory)).filter((name) => name.startsWith('lazaret-upload'))).toEqual([]);
  });

  it('that drips is cut when the whole takes too long', async () => {
    await start({ uploads: 1, timeouts: { ...LONG, headers: 100, request: 200 } });
    const begin = HALF_A_PACK.replace('content-length: 100', 'content-length: 1000000');
    const socket = await attacker(begin, { path: socketPath });
    const drip = setInterval(() => socket.write('x'), 5);
    try {
      await cutOff(socket);
    } finally {
      clearInterval(drip);
    }
    await expect.poll(() => readdir(directory)).toEqual(['api.sock']);
  });
});

describe('a reader', () => {
  it('that does not take its answer is cut', async () => {
    await start({ timeouts: SHORT });
    const [machine = expect.unreachable()] = operations.machines;
    for (let n = 0; n < 20_000; n++) operations.machines.push({ ...machine });
    const before = descriptors();
    const deaf = await attacker('GET /v1/vms HTTP/1.1\r\nhost: x\r\n\r\n', { path: socketPath });
    deaf.pause();
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + 1);
    deaf.destroy();
    await expect.poll(descriptors).toBeLessThanOrEqual(before);
  });

  it('of events that takes nothing is let go, though little is sent', async () => {
    await start({ timeouts: { ...LONG, heartbeat: 10 } });
    await operations.startScan({ vm: 'web-1' });
    const begin = 'GET /v1/scans/scan-1/events HTTP/1.1\r\nhost: x\r\n\r\n';
    const deaf = await attacker(begin, { path: socketPath });
    deaf.pause();
    await expect.poll(() => operations.followersOf('scan-1')).toBe(1);
    const message = 'x'.repeat(700_000);
    operations.tell('scan-1', {
      type: 'ocsf',
      event: { class_uid: 2004, activity_id: 1, time: 1, metadata: { uid: 'e' }, message },
    });
    await expect.poll(() => operations.followersOf('scan-1'), { timeout: 10_000 }).toBe(0);
    expect(lines.map(({ facts }) => facts.code)).toContain('slow-reader');
  });

  it('of events that closes its half is let go', async () => {
    await start({ timeouts: LONG });
    await operations.startScan({ vm: 'web-1' });
    const before = descriptors();
    const half = await attacker('GET /v1/scans/scan-1/events HTTP/1.1\r\nhost: x\r\n\r\n', {
      path: socketPath,
    });
    await expect.poll(() => operations.followersOf('scan-1')).toBe(1);
    half.end();
    await expect.poll(() => operations.followersOf('scan-1')).toBe(0);
    await expect.poll(descriptors).toBeLessThanOrEqual(before);
  });
});

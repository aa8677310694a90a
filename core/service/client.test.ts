/** Our client against the real API, and against what is no daemon. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cleanReport, finding, progress, report } from '../../test/records.ts';
import { StoreError } from '../error.ts';
import { type Api, startApi } from './api/server.ts';
import { connectDaemon, type DaemonClient } from './client.ts';
import { ApiError, DaemonError } from './error.ts';
import { readEvents } from './event-reader.ts';
import { action, MemoryOperations, NOON, quarantined, vmAction } from './testing/operations.ts';
import { memoryLogger } from './testing/requests.ts';
import type { ScanEvent } from './views.ts';

let directory: string;
let socketPath: string;
let operations: MemoryOperations;
let api: Api;
let client: DaemonClient;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'api-'));
  socketPath = join(directory, 'api.sock');
  operations = new MemoryOperations();
  const unix = { path: socketPath, mode: 0o600 };
  api = await startApi(operations, { unix, logger: memoryLogger().logger, uploads: directory });
  const connected = await connectDaemon(socketPath);
  if (!connected) throw new Error('there is no daemon');
  client = connected;
});
afterEach(async () => {
  await api.close();
  await rm(directory, { recursive: true });
});

async function all(events: AsyncIterable<ScanEvent>): Promise<ScanEvent[]> {
  return Array.fromAsync(events);
}

describe('the client', () => {
  it('gives what the daemon has', async () => {
    expect(await client.vms()).toEqual(operations.machines);
    expect(await client.vm('db-1')).toEqual(operations.machines[1]);
    expect(await client.findings({ limit: 5 })).toEqual({ items: [finding()], next: 'finding-1' });
    expect(await client.findings({ limit: 5, before: 'a b&c' })).toEqual({ items: [] });
    expect(await client.actions({ limit: 5 })).toEqual({ items: [action()] });
    expect(await client.vmActions({ limit: 5 })).toEqual({ items: [vmAction()] });
    expect(await client.quarantine({ limit: 5 })).toEqual({ items: [quarantined()] });
    expect(await client.packs()).toEqual(await operations.packs());
    expect(await client.pendingEnrolments()).toEqual(await operations.pendingEnrolments());
    expect(await client.metrics()).toBe(await operations.metrics());
    expect(operations.calls).toEqual(['findings 5 -', 'findings 5 a b&c']);
  });

  it('has done what it asks', async () => {
    const pack = join(directory, 'pack');
    await writeFile(pack, 'the pack');
    await client.power('web-1', 'pause');
    await client.snapshot('web-1', 's');
    await client.revert('web-1', 's');
    await client.restore('held-1');
    await client.restore('held-1', { b64: Buffer.from('/srv/\xff', 'latin1').toString('base64') });
    await client.purge('held-1');
    expect(await client.installPack(pack)).toMatchObject({ active: { serial: 2 } });
    expect(await client.rollbackPack('acme', 'rules')).toMatchObject({ active: { serial: 1 } });
    expect(await client.applyPatch({ vm: 'web-1', bundle: 'x', dryRun: true })).toMatchObject({
      state: 'applicable',
    });
    expect(await client.createToken('web-1')).toMatchObject({ token: 'a-token' });
    await client.createToken('web-1', 60_000);
    await client.acceptEnrolment('web-1', 'ab'.repeat(32));
    await client.resetEnrolment('web-1');
    expect(await client.reload()).toMatchObject({ vms: 2 });
    const calls = operations.calls.map((call) => call.replace(/install .*/, 'install'));
    expect(calls).toEqual([
      ...['pause web-1', 'snapshot web-1 s', 'revert web-1 s', 'restore held-1'],
      ...['restore held-1 to {"b64":"L3Nydi//"}', 'purge held-1', 'install'],
      ...[
        'rollback acme/rules',
        'patch web-1 1 dry',
        'token web-1',
        'token web-1 60000',
        'accept web-1 abab',
        'reset web-1',
        'reload',
      ],
    ]);
    expect(operations.installed.map(String)).toEqual(['the pack']);
  });

  it('escapes what it puts into an address', async () => {
    const error = await client.vm('../v1/packs?x=#/ü').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'unknown-vm', message: 'no VM is called ../v1/packs?x=#/ü' });
  });

  it('says how the daemon is, also when it is not ready', async () => {
    operations.ready = false;
    expect(await client.health()).toEqual({ live: true, ready: false, reasons: ['libvirt is not there'] });
  });

  it('follows a scan to its end', async () => {
    const { id } = await client.startScan({ vm: 'web-1', dryRun: true });
    const events = all(client.followScan(id, new AbortController().signal));
    await expect.poll(() => operations.followersOf(id)).toBe(1);
    const event = {
      class_uid: 2004,
      activity_id: 1,
      time: NOON,
      metadata: { uid: 'event-1' },
      message: 'a\n\ndata: ü\u2028\u001b',
    };
    operations.tell(id, { type: 'ocsf', event });
    operations.end(id, {}, report());
    const [first, second, last, ...more] = await events;
    expect(first).toEqual({ type: 'progress', progress: progress() });
    expect(second).toEqual({ type: 'ocsf', event });
    expect(last).toMatchObject({
      type: 'ended',
      scan: { state: 'finished', dryRun: true },
      report: report(),
    });
    expect(more).toEqual([]);
    expect((await client.scans({ limit: 10, state: 'finished' })).items).toMatchObject([{ id }]);
  });

  it('stops following when it is told to', async () => {
    const { id } = await client.startScan({ vm: 'web-1' });
    const controller = new AbortController();
    for await (const event of client.followScan(id, controller.signal)) {
      expect(event.type).toBe('progress');
      controller.abort();
    }
    await expect.poll(() => operations.followersOf(id)).toBe(0);
    expect(operations.calls).not.toContain(`cancel ${id}`);
  });
});

describe('errors of the daemon', () => {
  it('come with their code and words', async () => {
    await expect(client.restore('none')).rejects.toThrow(DaemonError);
    await expect(client.restore('none')).rejects.toMatchObject({ code: 'unknown-file' });
    operations.failure = new StoreError('in-use', 'another process works on it');
    await expect(client.vm('web-1')).rejects.toMatchObject({
      code: 'in-use',
      message: 'another process works on it',
    });
    operations.failure = new Error('a secret');
    await expect(client.vm('web-1')).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/nobody foresaw.*: look for it in the daemon's log/),
    });
    const follow = all(client.followScan('none', new AbortController().signal));
    await expect(follow).rejects.toMatchObject({ code: 'unknown-scan' });
  });

  it('a daemon that goes while it is followed', async () => {
    const { id } = await client.startScan({ vm: 'web-1' });
    const events = all(client.followScan(id, new AbortController().signal));
    const outcome = expect(events).rejects.toMatchObject({ code: 'no-answer' });
    await expect.poll(() => operations.followersOf(id)).toBe(1);
    await api.close();
    await outcome;
    await expect(client.vms()).rejects.toMatchObject({ code: 'no-answer' });
  });

  it('a pack that cannot be read', async () => {
    await expect(client.installPack('/nonexistent')).rejects.toMatchObject({ code: 'unreadable' });
    expect(operations.installed).toEqual([]);
  });
});

describe('where there is no daemon', () => {
  it.each([
    ['nothing', () => join(directory, 'none')],
    ['no directory', () => join(directory, 'none', 'below')],
    ['a file as its directory', () => join(socketPath, 'below')],
  ])('%s', async (_what, path) => {
    expect(await connectDaemon(path())).toBeUndefined();
  });

  it('a socket that nobody listens on', async () => {
    await api.close();
    const lost = join(directory, 'lost');
    await writeFile(lost, '');
    expect(await connectDaemon(lost)).toBeUndefined();
  });

  it('is not what a daemon looks like that has many who wait to be let in', async () => {
    const path = join(directory, 'full');
    let requests = 0;
    const answer = (_request: unknown, response: ServerResponse) => {
      requests += 1;
      response.end('{"live":true}');
    };
    const busy = createHttpServer(answer).listen({ path, backlog: 1 });
    await once(busy, 'listening');
    // All at once, before the first of them is let in.
    const clients = await Promise.all(Array.from({ length: 30 }, () => connectDaemon(path)));
    expect([clients.every(Boolean), requests]).toEqual([true, 30]);
    busy.close();
  });

  it('one that another user may not use', async () => {
    await chmod(socketPath, 0);
    const program = join(import.meta.dirname, `client.child${extname(import.meta.filename)}`);
    const { stdout } = await promisify(execFile)(process.execPath, [program, socketPath]);
    expect(stdout).toBe('forbidden');
  });
});

describe('what is no daemon', () => {
  let server: Server;
  const sockets: Socket[] = [];
  const serve = (answer: (socket: Socket) => void) =>
    new Promise<string>((resolve) => {
      const path = join(directory, 'other');
      server = createServer((socket) => {
        sockets.push(socket.on('error', () => undefined));
        answer(socket);
      }).listen(path, () => resolve(path));
    });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });

  const http = (status: string, body: string) => (socket: Socket) =>
    socket.once('data', () =>
      socket.end(`HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`),
    );

  it.each([
    ['hangs up', (socket: Socket) => socket.destroy()],
    ['does not speak HTTP', (socket: Socket) => socket.end('220 smtp ready\r\n')],
    ['answers something else', http('200 OK', '<html>')],
    ['answers JSON of another kind', http('200 OK', '{"live":"yes"}')],
    ['refuses in another shape', http('404 Not Found', '{"message":"no"}')],
    [
      'promises more than it sends',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}'),
    ],
  ])('%s', async (_what, answer) => {
    const error = await connectDaemon(await serve(answer)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code: 'no-answer' });
  });
});

describe('events', () => {
  const ended = JSON.stringify({
    type: 'ended',
    scan: {
      ...{ id: 's', vm: { id: 'v', name: 'ü' }, mode: 'detect', dryRun: false, trigger: 'manual' },
      ...{ state: 'finished', queuedAt: NOON },
    },
    report: cleanReport(),
  });
  const read = (chunks: Iterable<Uint8Array>) => {
    async function* source() {
      yield* chunks;
    }
    return Array.fromAsync(readEvents(source()));
  };

  it('are the same however they are cut', async () => {
    const bytes = Buffer.from(
      `: hello\n\nid: 0\nevent: ended\ndata: ${ended}\n\n: \n\nid: 1\ndata:${ended}\n\n`,
    );
    const whole = await read([bytes]);
    expect(whole).toHaveLength(2);
    expect(whole[0]).toMatchObject({ type: 'ended', scan: { vm: { name: 'ü' } } });
    expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it.each([
    ['no JSON', 'data: {\n\n'],
    ['of another kind', 'data: {"type":"other"}\n\n'],
    ['incomplete', 'data: {"type":"progress","progress":{}}\n\n'],
  ])('that are %s are refused', async (_what, text) => {
    await expect(read([Buffer.from(text)])).rejects.toMatchObject({ code: 'no-answer' });
  });

  it('that are cut off are none', async () => {
    expect(await read([Buffer.from(`data: ${ended}\n`)])).toEqual([]);
  });
});

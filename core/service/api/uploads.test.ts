import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PackError } from '../../pack/error.ts';
import { MemoryOperations } from '../testing/operations.ts';
import { ask, memoryLogger } from '../testing/requests.ts';
import { type Api, startApi } from './server.ts';
import { prepareUploads } from './upload.ts';

const MOST = 300_000;
let directory: string;
let uploads: string;
let socketPath: string;
let operations: MemoryOperations;
let api: Api;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'api-'));
  uploads = await mkdtemp(join(directory, 'uploads-'));
  socketPath = join(directory, 'api.sock');
  operations = new MemoryOperations();
  const { logger } = memoryLogger();
  const unix = { path: socketPath, mode: 0o600 };
  api = await startApi(operations, { unix, limits: { packBytes: MOST, bodyBytes: 1000 }, logger, uploads });
});
afterEach(async () => {
  await api.close();
  // Nothing that arrived is left behind, whatever became of it.
  expect(await readdir(uploads)).toEqual([]);
  await rm(directory, { recursive: true });
});

const send = (body: Buffer, headers: Record<string, string> = {}) =>
  ask(
    { socketPath },
    {
      method: 'POST',
      path: '/v1/packs',
      body,
      headers: { 'content-type': 'application/octet-stream', ...headers },
    },
  );

describe('a pack', () => {
  it('arrives whole in a private file', async () => {
    operations.onInstall = async () => {
      const [place = ''] = await readdir(uploads);
      expect((await stat(join(uploads, place))).mode & 0o777).toBe(0o700);
      expect((await stat(join(uploads, place, 'pack.tar.zst'))).mode & 0o777).toBe(0o600);
    };
    const pack = Buffer.alloc(MOST, 'pack');
    expect(await send(pack)).toMatchObject({ status: 200, json: { active: { serial: 2 } } });
    expect(operations.installed).toHaveLength(1);
    expect(operations.installed[0]?.equals(pack)).toBe(true);
  });

  it.each([
    ['with its length', {}],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
  ])(
    'of a byte too much, sent %s, is refused with an answer',
    async (_what, headers: Record<string, string>) => {
      expect(await send(Buffer.alloc(MOST + 1), headers)).toMatchObject({
        status: 413,
        json: { error: { code: 'too-large' } },
      });
      expect(operations.installed).toEqual([]);
    },
  );

  it('much too large is refused with an answer as well', async () => {
    expect((await send(Buffer.alloc(50 * MOST))).status).toBe(413);
  });

  it('that is refused says why', async () => {
    operations.onInstall = () => Promise.reject(new PackError('bad-signature', 'it is not signed by acme'));
    expect(await send(Buffer.from('x'))).toMatchObject({
      status: 422,
      json: { error: { code: 'bad-signature', message: 'it is not signed by acme' } },
    });
  });

  it.each(['application/json', 'text/plain', 'multipart/form-data'])('is not sent as %s', async (type) => {
    expect((await send(Buffer.from('{}'), { 'content-type': type })).status).toBe(415);
  });

  it('is not asked for without one', async () => {
    expect((await ask({ socketPath }, { method: 'POST', path: '/v1/packs' })).status).toBe(400);
  });

  it('whose sender goes leaves nothing behind', async () => {
    const outgoing = request({
      ...{ socketPath, method: 'POST', path: '/v1/packs', agent: false },
      headers: { 'content-type': 'application/octet-stream', 'content-length': '1000' },
    });
    outgoing.on('error', () => undefined);
    outgoing.write('half');
    await expect.poll(() => readdir(uploads)).toHaveLength(1);
    outgoing.destroy();
    await expect.poll(() => readdir(uploads)).toEqual([]);
    expect(operations.installed).toEqual([]);
  });

  it('that is under way when the API closes is answered still', async () => {
    const gate = Promise.withResolvers<void>();
    operations.onInstall = () => gate.promise;
    const answer = send(Buffer.from('a'), { connection: 'keep-alive' });
    await expect.poll(() => readdir(uploads)).toHaveLength(1);
    const closed = api.close();
    await expect(send(Buffer.from('b'))).rejects.toThrow(/ENOENT|ECONNREFUSED/);
    gate.resolve();
    expect((await answer).status).toBe(200);
    await closed;
  });

  it('that takes too long then is cut', async () => {
    await api.close();
    const { logger } = memoryLogger();
    const unix = { path: socketPath, mode: 0o600 };
    api = await startApi(operations, { unix, limits: { timeouts: { closing: 20 } }, logger, uploads });
    const gate = Promise.withResolvers<void>();
    operations.onInstall = () => gate.promise;
    const answer = expect(send(Buffer.from('a'))).rejects.toThrow(/hang up|ECONNRESET/);
    await expect.poll(() => readdir(uploads)).toHaveLength(1);
    await api.close();
    await answer;
    gate.resolve();
    await expect.poll(() => readdir(uploads)).toEqual([]);
  });

  it('waits for no other: more than a few at once are refused', async () => {
    const gate = Promise.withResolvers<void>();
    operations.onInstall = () => gate.promise;
    const first = [send(Buffer.from('a')), send(Buffer.from('b'))];
    await expect.poll(() => readdir(uploads)).toHaveLength(2);
    expect((await send(Buffer.from('c'))).status).toBe(429);
    gate.resolve();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
  });
});

describe('memory and files of packs', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const LARGE = 24 * 2 ** 20;
  const held = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };

  it.each<[string, () => void, number, number]>([
    ['that are used', () => undefined, LARGE, 200],
    [
      'that are refused',
      () => {
        operations.onInstall = async () => {
          throw new PackError('unsigned', 'nobody signed it');
        };
      },
      LARGE,
      422,
    ],
    ['that are too large', () => undefined, LARGE + 1, 413],
  ])('%s are given back', async (_which, prepare, size, status) => {
    await api.close();
    const { logger } = memoryLogger();
    const unix = { path: socketPath, mode: 0o600 };
    api = await startApi(operations, { unix, limits: { packBytes: LARGE }, logger, uploads });
    prepare();
    const body = Buffer.alloc(size, 'x');
    await send(Buffer.from('warm'));
    const before = held();
    for (let n = 0; n < 4; n++) {
      expect((await send(body)).status).toBe(status);
      operations.installed.length = 0;
    }
    expect(await readdir(uploads)).toEqual([]);
    await expect.poll(() => held() - before).toBeLessThan(4 * 2 ** 20);
  });

  it('that break off are given back, and are no fault of the daemon', async () => {
    await api.close();
    const { logger, lines } = memoryLogger();
    const unix = { path: socketPath, mode: 0o600 };
    api = await startApi(operations, { unix, limits: { packBytes: LARGE }, logger, uploads });
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(LARGE) };
    const before = held();
    for (let n = 0; n < 4; n++) {
      const outgoing = request({ socketPath, method: 'POST', path: '/v1/packs', headers, agent: false });
      outgoing.on('error', () => undefined);
      await new Promise((resolve) => outgoing.write(Buffer.alloc(LARGE - 1), resolve));
      outgoing.destroy();
      await expect.poll(() => readdir(uploads)).toEqual([]);
    }
    await expect.poll(() => held() - before).toBeLessThan(4 * 2 ** 20);
    expect(lines.filter(({ message }) => message === 'api request failed')).toEqual([]);
  });

  it('of a process that was killed are gone at the next start', async () => {
    const place = join(directory, 'uploads');
    await mkdir(join(place, 'lazaret-upload-x'), { recursive: true });
    await writeFile(join(place, 'lazaret-upload-x', 'pack.tar.zst'), 'half');
    expect(await prepareUploads(place)).toBe(place);
    expect(await readdir(place)).toEqual([]);
    expect((await stat(place)).mode & 0o777).toBe(0o700);
  });
});

import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryOperations } from '../testing/operations.ts';
import { ask, memoryLogger } from '../testing/requests.ts';
import { startApi } from './server.ts';
import type { SocketPlace } from './unix-socket.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'api-'));
  path = join(directory, 'api.sock');
});
afterEach(() => rm(directory, { recursive: true }));

const start = (place: Partial<SocketPlace> = {}) =>
  startApi(new MemoryOperations(), {
    unix: { path, mode: 0o660, ...place },
    logger: memoryLogger().logger,
  });

const answers = async () => (await ask({ socketPath: path }, { path: '/livez' })).status === 200;

describe('the socket', () => {
  it('has its mode and group, and goes with the daemon', async () => {
    const group = process.getgid?.() ?? 0;
    const api = await start({ group });
    expect(api.addresses).toEqual([`unix:${path}`]);
    const { mode, gid } = await stat(path);
    expect([mode & 0o777, gid]).toEqual([0o660, group]);
    expect(await answers()).toBe(true);
    await api.close();
    expect(await readdir(directory)).toEqual([]);
  });

  it('takes the place of one that a daemon left behind', async () => {
    // A listener that is gone without having removed its socket.
    const lost = createServer();
    await new Promise<void>((resolve) => lost.listen(`${path}.lost`, resolve));
    const { rename } = await import('node:fs/promises');
    await rename(`${path}.lost`, path);
    await new Promise((resolve) => lost.close(resolve));
    expect((await stat(path)).isSocket()).toBe(true);
    const api = await start();
    expect(await answers()).toBe(true);
    await api.close();
  });

  it('is not taken from a daemon that answers, which goes on answering', async () => {
    const api = await start();
    await expect(start()).rejects.toMatchObject({
      code: 'cannot-listen',
      message: expect.stringContaining('another daemon'),
    });
    expect(await answers()).toBe(true);
    await api.close();
  });

  it('of another daemon by then is left to it', async () => {
    const first = await start();
    await rm(path);
    const second = await start();
    await first.close();
    expect(await answers()).toBe(true);
    await second.close();
  });
});

describe('what is no place for a socket', () => {
  it.each([
    ['a file', () => writeFile(path, 'x'), 'no socket'],
    ['a link to one', () => symlink('/nonexistent', path), 'no socket'],
    ['a directory', () => mkdir(path), 'no socket'],
    ['where everyone writes', () => chmod(directory, 0o1777), 'everyone may write'],
  ])('%s', async (_what, make, words) => {
    await make();
    await expect(start()).rejects.toMatchObject({
      code: 'cannot-listen',
      message: expect.stringContaining(words),
    });
    expect((await readdir(directory)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it.each([
    ['a directory that is not there', { path: '/nonexistent/api.sock' }, 'cannot-listen'],
    ['a path that is too long', () => ({ path: join(directory, 'x'.repeat(100), 's') }), 'cannot-listen'],
    ['a group that is not there', { group: 'no-such-group' }, 'bad-options'],
  ])('%s', async (_what, place, code) => {
    await mkdir(join(directory, 'x'.repeat(100)));
    await expect(start(typeof place === 'function' ? place() : place)).rejects.toMatchObject({ code });
  });
});

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DomainChanges, KeptLog } from '../../test/domain-changes.ts';
import { SocketGlob, type SocketGlobOptions } from './socket-glob.ts';

const uuid = '4dea22b3-1d52-d8f3-2516-782e98ab3fa0';

describe('guests by a pattern for sockets', () => {
  let directory: string;
  let port: SocketGlob;
  let log: KeptLog;
  let servers: Server[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'glob-'));
    servers = [];
    log = new KeptLog();
  });
  afterEach(async () => {
    await port.close();
    await Promise.all(servers.map(end));
    rmSync(directory, { recursive: true });
  });

  const end = (server: Server) => new Promise((resolve) => server.close(resolve));

  async function serve(name: string): Promise<Server> {
    const server = createServer();
    servers.push(server);
    mkdirSync(join(directory, name, '..'), { recursive: true });
    await new Promise<void>((resolve) => server.listen(join(directory, name), resolve));
    return server;
  }

  function open(glob: string, options: Partial<SocketGlobOptions> = {}): SocketGlob {
    port = new SocketGlob({
      glob: join(directory, glob),
      nameFrom: 'file',
      logger: log,
      pollMs: 50,
      ...options,
    });
    return port;
  }

  it('are called as their folder, or as their file', async () => {
    await serve('web/lazaret.sock');
    await serve('db/lazaret.sock');
    const found = await open('*/lazaret.sock', { nameFrom: 'folder', uuids: { web: uuid } }).listDomains();
    expect(found).toMatchObject([
      { name: 'db', socket: join(directory, 'db/lazaret.sock'), state: 'unknown', generation: 1 },
      { name: 'web', socket: join(directory, 'web/lazaret.sock'), id: uuid, uuid },
    ]);
    expect(found[0]).not.toHaveProperty('uuid');
    await port.close();
    await serve('cache.sock');
    expect(await open('*.sock').listDomains()).toMatchObject([{ name: 'cache' }]);
  });

  it('come, go, and come back as another generation', async () => {
    const changes = new DomainChanges(open('*.sock'));
    expect(await port.listDomains()).toEqual([]);
    const first = await serve('web.sock');
    expect((await changes.next('defined')).domain).toMatchObject({ name: 'web', generation: 1 });
    await changes.next('started');
    await end(first);
    await changes.next('undefined');
    expect(await port.listDomains()).toEqual([]);
    await serve('web.sock');
    expect((await changes.next('started')).domain.generation).toBe(2);
  });

  it('are another generation when their socket is another one at the same path', async () => {
    await serve('web.sock');
    const changes = new DomainChanges(open('*.sock'));
    await port.listDomains();
    await serve('other');
    renameSync(join(directory, 'other'), join(directory, 'web.sock'));
    expect((await changes.next('started')).domain.generation).toBe(2);
    expect(changes.kinds()).toEqual(['defined', 'started']);
  });

  it('are followed below folders that were not there', async () => {
    const changes = new DomainChanges(open('vms/*/lazaret.sock', { nameFrom: 'folder' }));
    expect(await port.listDomains()).toEqual([]);
    await serve('vms/web/lazaret.sock');
    expect((await changes.next('defined')).domain.name).toBe('web');
  });

  it('that were there before are not said to have started', async () => {
    await serve('web.sock');
    const changes = new DomainChanges(open('*.sock'));
    await port.listDomains();
    expect(changes.kinds()).toEqual(['defined']);
  });

  it('are sockets and nothing else', async () => {
    writeFileSync(join(directory, 'file.sock'), '');
    mkdirSync(join(directory, 'folder.sock'));
    symlinkSync('/nowhere', join(directory, 'link.sock'));
    expect(await open('*.sock').listDomains()).toEqual([]);
    expect(log.lines).toEqual([]);
  });

  it('are left out, with a word, where their name is no name or another’s', async () => {
    await serve('a/web.sock');
    await serve('b/web.sock');
    await serve('b/a b.sock');
    await serve('b/__proto__.sock');
    expect(await open('*/*.sock', { uuids: {} }).listDomains()).toMatchObject([
      { name: 'web', socket: join(directory, 'a/web.sock') },
    ]);
    await port.listDomains();
    expect(log.matching(/left out/).sort()).toEqual([
      expect.stringContaining('b/__proto__.sock is left out: its name has'),
      expect.stringContaining('b/a b.sock is left out: its name has'),
      expect.stringContaining('b/web.sock is left out: another socket'),
    ]);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { FileTarget, Instruction, RestoreTarget } from '../../protocol/index.ts';
import { need } from '../../test/need.ts';
import { errnoOf } from '../linux/error.ts';
import { Root } from '../linux/root.ts';
import { FileStatus } from '../linux/status.ts';
import { readAttributes, setAttribute } from '../linux/xattr.ts';
import { fileTarget, sha256, TempDirectory, TestAgent } from '../testing/tree.ts';
import { effectOf } from './carry-out.ts';
import { Protection } from './protection.ts';
import { newWorkplaceName } from './workplace.ts';

const MALWARE = 'malware';

const contain = (target: FileTarget): Instruction => ({ name: 'contain:file', target });
const remove = (target: FileTarget): Instruction => ({ name: 'delete:file', target });

describe('contain:file and restore:file', () => {
  it('takes a file away and puts it back as it was', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'bad');
    writeFileSync(path, MALWARE);
    const file = openSync(path, 'r+');
    setAttribute(file, { name: Buffer.from('user.note'), value: Buffer.from([0, 1, 255]) });
    closeSync(file);
    if (process.geteuid?.() === 0) chownSync(path, 12_345, 54_321);
    chmodSync(path, 0o4751);
    utimesSync(path, 1_600_000_000.25, 1_500_000_000.5);
    const host = await agent.session('contain:file', 'restore:file');

    const outcome = await host.send(contain(fileTarget(agent.root, '/bad', MALWARE)));
    expect(outcome).toMatchObject({ code: 'done', state: { mode: 0o4751, mtime: '1500000000.500000000' } });
    expect(readdirSync(agent.root)).toEqual([]);
    const { state } = outcome;
    if (!state) throw new Error('no state');

    await host.stage(sha256(MALWARE), Buffer.from(MALWARE));
    const target: RestoreTarget = { path: '/bad', sha256: sha256(MALWARE), state };
    expect(await host.send({ name: 'restore:file', target })).toEqual({ code: 'done' });
    const again = await host.send(contain(fileTarget(agent.root, '/bad', MALWARE)));
    expect(again.state).toEqual(state);
    expect(state.xattrs).toEqual([{ name: 'user.note', value: Buffer.from([0, 1, 255]).toString('base64') }]);
    expect(readdirSync(agent.root)).toEqual([]);
  });

  it('restores nothing over what stands there, and nothing that was not staged', async () => {
    await using agent = await TestAgent.start();
    writeFileSync(join(agent.root, 'taken'), 'mine');
    const state = {
      mode: 0o600,
      uid: process.geteuid?.() ?? 0,
      gid: process.getegid?.() ?? 0,
      atime: '1.000000000',
      mtime: '1.000000000',
      xattrs: [],
    };
    const host = await agent.session('restore:file');
    const target: RestoreTarget = { path: '/taken', sha256: sha256('x'), state };
    expect(await host.send({ name: 'restore:file', target })).toMatchObject({ code: 'not-staged' });
    await host.stage(sha256('x'), Buffer.from('x'));
    expect(await host.send({ name: 'restore:file', target })).toMatchObject({ code: 'occupied' });
    expect(readFileSync(join(agent.root, 'taken'), 'utf8')).toBe('mine');
    expect(readdirSync(agent.root)).toEqual(['taken']);
  });

  it('keeps what fits of the attributes of a file that is loaded with them', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'bad');
    writeFileSync(path, MALWARE);
    const file = openSync(path, 'r+');
    for (let index = 0; index < 140; index++) {
      setAttribute(file, { name: Buffer.from(`user.${index}`), value: Buffer.alloc(1) });
    }
    expect(readAttributes(file)).toHaveLength(140);
    closeSync(file);
    const host = await agent.session('contain:file');
    const outcome = await host.send(contain(fileTarget(agent.root, '/bad', MALWARE)));
    expect(outcome.state?.xattrs).toHaveLength(128);
    expect(outcome.detail).toContain('12 extended attributes');
  });
});

/** VFS_CAP_REVISION_2 with CAP_NET_BIND_SERVICE permitted. */
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');
const asRootOnTmpfs = need(
  { what: 'root, for trusted attributes', there: process.geteuid?.() === 0, get: 'sudo' },
  { file: '/dev/shm', get: 'mount -t tmpfs tmpfs /dev/shm' },
);

describe('a file with metadata that is out of the ordinary', () => {
  const user = (name: string | number[]) => Buffer.concat([Buffer.from('user.'), Buffer.from(name)]);

  it('comes back with attributes whose names are no text, and sparse', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'bad');
    const content = Buffer.alloc(64 * 1024 * 1024);
    content.write(MALWARE);
    writeFileSync(path, MALWARE);
    truncateSync(path, content.length);
    const file = openSync(path, 'r+');
    const attributes = [user([0xff, 0xfe, 0x80]), user('\u202e"\n'), user('n'.repeat(250))];
    for (const name of attributes) setAttribute(file, { name, value: Buffer.from(name) });
    closeSync(file);
    const host = await agent.session('contain:file', 'restore:file');
    const { code, state } = await host.send(contain(fileTarget(agent.root, '/bad', content)));
    if (!state) throw new Error(`no state with ${code}`);

    const hash = sha256(content);
    await host.stage(hash, content);
    expect(await host.send({ name: 'restore:file', target: { path: '/bad', sha256: hash, state } })).toEqual({
      code: 'done',
    });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(statSync(path).blocks * 512).toBeLessThan(1024 * 1024);
    const back = openSync(path, 'r');
    expect(readAttributes(back).map(({ name }) => name)).toEqual(expect.arrayContaining(attributes));
    closeSync(back);
  });

  it.runIf(asRootOnTmpfs)('is taken though it has more attributes than the kernel lists', async () => {
    const shared = mkdtempSync('/dev/shm/lazaret-agent-test-');
    await using agent = await TestAgent.start({ root: shared });
    const path = join(shared, 'bad');
    writeFileSync(path, MALWARE);
    const file = openSync(path, 'r+');
    for (let number = 0; number < 300; number++) {
      const name = Buffer.from(`trusted.${String(number).padStart(240, 'n')}`);
      setAttribute(file, { name, value: Buffer.alloc(1) });
    }
    const capability = { name: Buffer.from('security.capability'), value: CAPABILITY };
    setAttribute(file, capability);
    expect(() => readAttributes(file)).toThrow(expect.objectContaining({ code: 'E2BIG' }));
    closeSync(file);
    const host = await agent.session('contain:file');
    const outcome = await host.send(contain(fileTarget(shared, '/bad', MALWARE)));
    expect(outcome).toMatchObject({ code: 'done', detail: expect.stringContaining('too many') });
    expect(outcome.state?.xattrs).toEqual([
      { name: 'security.capability', value: CAPABILITY.toString('base64') },
    ]);
    expect(existsSync(path)).toBe(false);
    rmSync(shared, { recursive: true });
  });

  it('stays where it is when it could not be told how it was', async () => {
    using directory = new TempDirectory();
    writeFileSync(join(directory.path, 'bad'), MALWARE);
    const target = fileTarget(directory.path, '/bad', MALWARE);
    const work = {
      root: new Root(directory.path),
      protection: new Protection({ directories: [], files: [] }),
      workplace: newWorkplaceName(),
      staged: () => undefined,
      owe: () => undefined,
    };
    const atime = vi.spyOn(FileStatus.prototype, 'atime', 'get').mockReturnValue('of a kernel to come');
    const { outcome } = await effectOf(contain(target), work).finally(() => atime.mockRestore());
    expect(outcome).toEqual({
      code: 'failed',
      detail: expect.stringContaining('could not be told: at "state.atime"'),
    });
    expect(readdirSync(directory.path)).toEqual(['bad']);
    const removed = await effectOf(remove(target), work);
    removed.finish?.();
    expect([removed.outcome, readdirSync(directory.path)]).toEqual([{ code: 'done' }, []]);
  });

  it('is not given the owner that chown takes for none', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('restore:file');
    await host.stage(sha256('x'), Buffer.from('x'));
    const times = { atime: '1.000000000', mtime: '1.000000000' };
    const state = { mode: 0o4755, uid: 0xffff_ffff, gid: 0, ...times, xattrs: [] };
    const target = { path: '/bad', sha256: sha256('x'), state };
    expect(await host.send({ name: 'restore:file', target })).toMatchObject({ code: 'failed' });
    expect(readdirSync(agent.root)).toEqual([]);
  });
});

describe('delete:file', () => {
  it('removes one name and leaves the other links', async () => {
    await using agent = await TestAgent.start();
    writeFileSync(join(agent.root, 'bad'), MALWARE);
    const host = await agent.session('delete:file');
    expect(await host.send(remove(fileTarget(agent.root, '/bad', MALWARE)))).toEqual({ code: 'done' });
    expect(readdirSync(agent.root)).toEqual([]);
  });

  it('leaves a file that has changed, was replaced, is gone, or is no file', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('delete:file');
    const path = join(agent.root, 'f');
    writeFileSync(path, MALWARE);
    const target = fileTarget(agent.root, '/f', MALWARE);
    writeFileSync(path, 'rewritten');
    expect(await host.send(remove(target))).toMatchObject({ code: 'changed' });
    expect(readFileSync(path, 'utf8')).toBe('rewritten');

    writeFileSync(join(agent.root, 'other'), MALWARE);
    renameSync(join(agent.root, 'other'), path);
    expect(await host.send(remove(target))).toMatchObject({ code: 'changed' });
    renameSync(path, join(agent.root, 'moved'));
    expect(await host.send(remove(target))).toMatchObject({ code: 'vanished' });
    mkdirSync(path);
    expect(await host.send(remove(target))).toMatchObject({ code: 'changed' });
    expect(readdirSync(agent.root).sort()).toEqual(['f', 'moved']);
  });

  it('reaches nothing through a link on the way', async () => {
    await using agent = await TestAgent.start();
    using outside = new TempDirectory();
    writeFileSync(join(outside.path, 'f'), MALWARE);
    symlinkSync(outside.path, join(agent.root, 'way'));
    const host = await agent.session('delete:file');
    const target = { ...fileTarget(outside.path, '/f', MALWARE), path: '/way/f' };
    expect(await host.send(remove(target))).toMatchObject({ code: 'failed' });
    expect(existsSync(join(outside.path, 'f'))).toBe(true);
  });

  it('spares what belongs to the agent, by whatever name', async () => {
    using directory = new TempDirectory();
    const own = join(directory.path, 'program');
    writeFileSync(own, 'agent');
    await using agent = await TestAgent.start({ root: '/', ownFiles: [own, join(directory.path, 'config')] });
    const host = await agent.session('delete:file', 'contain:file', 'update:file');
    for (const path of [own, join(agent.agent.state, 'identity.json'), join(agent.agent.state, 'host.pin')]) {
      const target = fileTarget('/', path, readFileSync(path));
      expect(await host.send(remove(target))).toMatchObject({ code: 'protected' });
      expect(existsSync(path)).toBe(true);
    }
    const content = sha256('deny: []');
    await host.stage(content, Buffer.from('deny: []'));
    const target = { path: join(directory.path, 'config'), expect: null, content };
    expect(await host.send({ name: 'update:file', target })).toMatchObject({ code: 'protected' });
    expect(readdirSync(directory.path)).toEqual(['program']);
  });
});

describe('a file that is swapped all the time', () => {
  it('is never taken for what it is not', { timeout: 60_000 }, async () => {
    await using agent = await TestAgent.start();
    const program = join(import.meta.dirname, '..', 'testing', 'swapper.ts');
    const swapper = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, agent.root], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(swapper.stdout, 'data');
    const host = await agent.session('contain:file');
    const outcomes = new Set<string>();
    for (let round = 0; round < 150; round++) {
      const { code } = await host.send(contain(currentTarget(agent.root)));
      outcomes.add(code);
    }
    swapper.stdin.end();
    await once(swapper, 'exit');

    expect(outcomes).toContain('done');
    expect([...outcomes].filter((code) => !['done', 'changed', 'vanished'].includes(code))).toEqual([]);
    const names = readdirSync(agent.root);
    expect(names.filter((name) => readFileSync(join(agent.root, name), 'utf8') === 'good')).toHaveLength(1);
  });
});

/** What stands there at this moment, taken for malware. */
function currentTarget(root: string): FileTarget {
  for (;;) {
    try {
      return fileTarget(root, '/bad', MALWARE);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

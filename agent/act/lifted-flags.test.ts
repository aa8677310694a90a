import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FILE_FLAGS, type FileFlag, type FileTarget, type Instruction } from '../../protocol/index.ts';
import { need } from '../../test/need.ts';
import { clearFlags, readFlags, setFlags } from '../linux/flags.ts';
import { FileStatus } from '../linux/status.ts';
import { fileTarget, sha256, TempDirectory, TestAgent } from '../testing/tree.ts';
import { Journal, owe } from './journal.ts';
import { Workplace } from './workplace.ts';

const MALWARE = 'malware';
const STATE = { mode: 0o600, uid: 0, gid: 0, atime: '1.000000000', mtime: '1.000000000', xattrs: [] };
const contain = (target: FileTarget): Instruction => ({ name: 'contain:file', target });
const remove = (target: FileTarget): Instruction => ({ name: 'delete:file', target });
const restore = (path: string, flags?: FileFlag[]): Instruction => ({
  name: 'restore:file',
  target: { path, sha256: sha256(MALWARE), state: { ...STATE, ...(flags && { flags }) } },
});

function onPath<Result>(path: string, work: (descriptor: number) => Result): Result {
  const descriptor = openSync(path, 'r');
  try {
    return work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const flagsOf = (path: string): FileFlag[] => onPath(path, readFlags);
const flag = (path: string, flags: readonly FileFlag[]): void =>
  onPath(path, (descriptor) => setFlags(descriptor, flags));
/** So that it can be removed when the test is over. */
const unflag = (...paths: readonly string[]): void => {
  for (const path of paths) {
    if (existsSync(path)) onPath(path, (descriptor) => clearFlags(descriptor, FILE_FLAGS));
  }
};

function mayFlag(): boolean {
  using directory = new TempDirectory();
  const path = join(directory.path, 'f');
  writeFileSync(path, '');
  try {
    flag(path, ['immutable']);
    unflag(path);
    return true;
  } catch {
    return false;
  }
}

const canFlag = need({
  what: 'the right to make files immutable',
  there: mayFlag(),
  get: 'run the tests as root (CAP_LINUX_IMMUTABLE), with TMPDIR on ext4, XFS, Btrfs or tmpfs',
});

describe.runIf(canFlag)('a file that is immutable or append-only', () => {
  it.each([[['immutable']], [['append-only']], [['immutable', 'append-only']]] as FileFlag[][][])(
    'is contained and comes back as it was: %j',
    async (flags) => {
      await using agent = await TestAgent.start();
      const path = join(agent.root, 'bad');
      writeFileSync(path, MALWARE);
      flag(path, flags);
      const host = await agent.session('contain:file', 'restore:file');
      const outcome = await host.send(contain(fileTarget(agent.root, '/bad', MALWARE)));
      expect(outcome).toMatchObject({ code: 'done', state: { flags } });
      expect(readdirSync(agent.root)).toEqual([]);

      if (!outcome.state) throw new Error('no state');
      await host.stage(sha256(MALWARE), Buffer.from(MALWARE));
      const target = { path: '/bad', sha256: sha256(MALWARE), state: outcome.state };
      expect(await host.send({ name: 'restore:file', target })).toEqual({ code: 'done' });
      expect(flagsOf(path)).toEqual(flags);
      unflag(path);
    },
  );

  it('is deleted out of a directory that is immutable too, which stays so', async () => {
    await using agent = await TestAgent.start();
    const [directory, path] = [join(agent.root, 'd'), join(agent.root, 'd/bad')];
    mkdirSync(directory);
    writeFileSync(path, MALWARE);
    flag(path, ['append-only']);
    flag(directory, ['immutable']);
    const host = await agent.session('delete:file');
    expect(await host.send(remove(fileTarget(agent.root, '/d/bad', MALWARE)))).toEqual({ code: 'done' });
    expect(readdirSync(directory)).toEqual([]);
    expect(flagsOf(directory)).toEqual(['immutable']);
    unflag(directory);
  });

  it('is restored into a directory that is append-only, which stays so', async () => {
    await using agent = await TestAgent.start();
    const directory = join(agent.root, 'd');
    mkdirSync(directory);
    flag(directory, ['append-only']);
    const host = await agent.session('restore:file');
    await host.stage(sha256(MALWARE), Buffer.from(MALWARE));
    expect(await host.send(restore('/d/bad'))).toEqual({ code: 'done' });
    expect(readdirSync(directory)).toEqual(['bad']);
    expect(flagsOf(join(directory, 'bad'))).toEqual([]);
    expect(flagsOf(directory)).toEqual(['append-only']);
    unflag(directory);
  });

  it('keeps its attributes when it proves to be another, and when it has other names', async () => {
    await using agent = await TestAgent.start();
    const [path, other] = [join(agent.root, 'bad'), join(agent.root, 'other')];
    writeFileSync(path, 'changed');
    flag(path, ['immutable']);
    const host = await agent.session('delete:file');
    expect(await host.send(remove(fileTarget(agent.root, '/bad', MALWARE)))).toMatchObject({
      code: 'changed',
    });
    expect(readFileSync(path, 'utf8')).toBe('changed');
    expect(flagsOf(path)).toEqual(['immutable']);

    unflag(path);
    writeFileSync(path, MALWARE);
    linkSync(path, other);
    flag(path, ['immutable']);
    expect(await host.send(remove(fileTarget(agent.root, '/bad', MALWARE)))).toEqual({ code: 'done' });
    expect(readdirSync(agent.root)).toEqual(['other']);
    expect(flagsOf(other)).toEqual(['immutable']);
    unflag(other);
  });

  it('of the agent keeps them whatever is ordered', async () => {
    using directory = new TempDirectory();
    const own = join(directory.path, 'program');
    writeFileSync(own, 'agent');
    flag(own, ['immutable']);
    await using agent = await TestAgent.start({ root: '/', ownFiles: [own] });
    const host = await agent.session('delete:file');
    expect(await host.send(remove(fileTarget('/', own, 'agent')))).toMatchObject({ code: 'protected' });
    expect(flagsOf(own)).toEqual(['immutable']);
    unflag(own);
  });

  it('says nothing of attributes where there are none', async () => {
    await using agent = await TestAgent.start();
    writeFileSync(join(agent.root, 'bad'), MALWARE);
    const host = await agent.session('contain:file');
    const outcome = await host.send(contain(fileTarget(agent.root, '/bad', MALWARE)));
    expect(outcome.state).not.toHaveProperty('flags');
  });
});

/** A state directory and a tree in which an agent died with attributes lifted. */
class Scene {
  private readonly directory = new TempDirectory();
  readonly state = join(this.directory.path, 'state');
  readonly root = join(this.directory.path, 'root');
  readonly bad = join(this.root, 'bad');
  readonly id = randomUUID();
  readonly workplace = '.lazaret-0123456789abcdef';
  readonly journal: Journal;

  constructor() {
    mkdirSync(this.state);
    mkdirSync(this.root);
    writeFileSync(this.bad, MALWARE);
    this.journal = new Journal(this.state);
    this.journal.begin({ id: this.id, name: 'delete:file', path: '/bad', workplace: this.workplace });
    for (const [of, path] of [['parent', this.root] as const, ['file', this.bad] as const]) {
      const { identity } = onPath(path, FileStatus.ofDescriptor);
      owe(this.journal.ledgerOf(this.id), { of, identity, flags: ['immutable'] });
    }
  }

  make(): Workplace {
    return Workplace.make(openSync(this.root, 'r'), Buffer.from('bad'), this.workplace);
  }

  restart(): Promise<TestAgent> {
    return TestAgent.start({ state: this.state, root: this.root });
  }

  [Symbol.dispose](): void {
    unflag(this.root, this.bad, join(this.root, 'other'));
    this.directory[Symbol.dispose]();
  }
}

describe.runIf(canFlag)('an agent that died with attributes lifted', () => {
  it('puts them back where nothing had been done yet', async () => {
    using scene = new Scene();
    await using _agent = await scene.restart();
    expect([flagsOf(scene.root), flagsOf(scene.bad)]).toEqual([['immutable'], ['immutable']]);
  });

  it('puts them back with what it had taken', async () => {
    using scene = new Scene();
    scene.make().take();
    await using _agent = await scene.restart();
    expect(readdirSync(scene.root)).toEqual(['bad']);
    expect([flagsOf(scene.root), flagsOf(scene.bad)]).toEqual([['immutable'], ['immutable']]);
  });

  it('removes what it had judged, also out of a directory that is immutable again', async () => {
    using scene = new Scene();
    linkSync(scene.bad, join(scene.root, 'other'));
    scene.make().take();
    scene.journal.settle(scene.id, { code: 'done' });
    flag(scene.root, ['immutable']);
    await using agent = await scene.restart();
    expect(readdirSync(scene.root)).toEqual(['other']);
    expect(flagsOf(scene.root)).toEqual(['immutable']);
    expect(flagsOf(join(scene.root, 'other'))).toEqual(['immutable']);
    const host = await agent.session();
    expect(await host.send(remove({ path: '/bad', dev: '1', ino: '1', sha256: sha256('') }), scene)).toEqual({
      code: 'done',
    });
  });

  it('gives them to no other file, and says that the one is gone', async () => {
    using scene = new Scene();
    execFileSync('mv', [scene.bad, join(scene.root, 'other')]);
    writeFileSync(scene.bad, 'new');
    await using agent = await scene.restart();
    expect(flagsOf(scene.bad)).toEqual([]);
    const host = await agent.session();
    const again = await host.send(remove({ path: '/bad', dev: '1', ino: '1', sha256: sha256('') }), scene);
    expect(again).toMatchObject({ code: 'interrupted', detail: expect.stringContaining('immutable') });
  });
});

it('the unit of the agent lets it clear attributes', () => {
  const unit = readFileSync(join(import.meta.dirname, '../../config/systemd/lazaret-agent.service'), 'utf8');
  expect(unit).toMatch(/^CapabilityBoundingSet=.*\bCAP_LINUX_IMMUTABLE\b/m);
});

describe('a journal with what is owed', () => {
  it('is read whatever line was cut off', () => {
    using state = new TempDirectory();
    const journal = new Journal(state.path);
    const intent = { id: randomUUID(), name: 'delete:file' } as const;
    const owed = { of: 'file', identity: '1:2', flags: ['immutable'] } as const;
    journal.begin(intent);
    owe(journal.ledgerOf(intent.id), { ...owed, flags: [...owed.flags] });
    const [file = ''] = readdirSync(join(state.path, 'commands'));
    const path = join(state.path, 'commands', file);
    const text = readFileSync(path, 'utf8');
    for (const torn of ['{"owed":{"of":"par', '{"code":"do']) {
      writeFileSync(path, text + torn);
      expect(new Journal(state.path).unfinished()).toEqual([{ intent, owed: [owed] }]);
      new Journal(state.path).settle(intent.id, { code: 'interrupted' });
      expect(new Journal(state.path).unfinished()).toEqual([
        { intent, owed: [owed], outcome: { code: 'interrupted' } },
      ]);
    }
  });
});

describe('what was in the way', () => {
  it('is told of a directory that is gone, a link, or none at all', async () => {
    await using agent = await TestAgent.start();
    writeFileSync(join(agent.root, 'file'), '');
    symlinkSync('/', join(agent.root, 'link'));
    const host = await agent.session('restore:file');
    await host.stage(sha256(MALWARE), Buffer.from(MALWARE));
    const cases = [
      ['/gone/f', 'vanished', 'parent-gone'],
      ['/file/f', 'vanished', 'parent-no-directory'],
      ['/link/f', 'failed', 'parent-link'],
      [`/${'n'.repeat(256)}`, 'failed', 'name-too-long'],
    ] as const;
    for (const [path, code, obstacle] of cases) {
      expect(await host.send(restore(path))).toMatchObject({ code, obstacle });
    }
    expect(await host.send(restore('/file'))).toMatchObject({ code: 'occupied' });
  });

  const canMount = need({
    what: 'the right to mount',
    there: process.geteuid?.() === 0 && mayMount(),
    get: 'run the tests as root (CAP_SYS_ADMIN)',
  });
  it.runIf(canMount)('is told of a file system that is read-only, or full', async () => {
    await using agent = await TestAgent.start();
    const mount = join(agent.root, 'm');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', mount]);
    try {
      writeFileSync(join(mount, 'bad'), MALWARE);
      const host = await agent.session('restore:file', 'contain:file');
      const large = Buffer.alloc(64 * 1024, 1);
      await host.stage(sha256(large), large);
      const target = { path: '/m/f', sha256: sha256(large), state: STATE };
      const full = await host.send({ name: 'restore:file', target });
      expect(full).toMatchObject({ code: 'failed', obstacle: 'no-space' });
      expect(readdirSync(mount)).toEqual(['bad']);

      execFileSync('mount', ['-o', 'remount,ro', mount]);
      const outcome = await host.send(contain(fileTarget(agent.root, '/m/bad', MALWARE)));
      expect(outcome).toMatchObject({ code: 'failed', obstacle: 'read-only' });
      expect(await host.send(restore('/m/f'))).toMatchObject({ code: 'failed', obstacle: 'read-only' });
    } finally {
      execFileSync('umount', [mount]);
    }
  });
});

function mayMount(): boolean {
  using directory = new TempDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'none', directory.path], { stdio: 'ignore' });
    execFileSync('umount', [directory.path]);
    return true;
  } catch {
    return false;
  }
}

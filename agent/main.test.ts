/** The agent as a program, on Node from its sources and as the executable that guests get. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, vi } from 'vitest';
import {
  enrolmentKey,
  isEnrolmentProof,
  MOST_COUNTED,
  newEnrolmentToken,
  RECORD,
} from '../protocol/index.ts';
import { need } from '../test/need.ts';
import { makeCertificate, TestHost } from './testing/host.ts';
import { fileTarget, sha256, TempDirectory } from './testing/tree.ts';

const executable = join(import.meta.dirname, '..', 'dist', 'lazaret-agent');
const source = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, 'main.ts'),
];
const hasTmpfs = need({ file: '/dev/shm', get: 'mount -t tmpfs tmpfs /dev/shm' });
const built = need({ file: executable, get: 'npm run build:agent' });

class Program {
  readonly directory = new TempDirectory();
  readonly socket = join(this.directory.path, 'a.sock');
  readonly root = join(this.directory.path, 'root');
  readonly state = join(this.directory.path, 'state');
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<unknown[]>;

  constructor([program = '', ...first]: readonly string[], ...args: string[]) {
    mkdirSync(this.root);
    const places = ['--listen', `unix:${this.socket}`, '--root', this.root, '--state', this.state];
    this.child = spawn(program, [...first, ...places, ...args]);
    this.ended = once(this.child, 'exit');
  }

  /** Resolves with the first line of its log that contains `text`. */
  async line(text: string): Promise<string> {
    for await (const line of createInterface(this.child.stderr)) if (line.includes(text)) return line;
    throw new Error(`the agent ended without saying ${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
    this.directory[Symbol.dispose]();
  }
}

const KINDS: [string, readonly string[], boolean][] = [
  ['on Node', source, true],
  ['as one executable', [executable], built],
];

describe.each(KINDS)('the agent %s', (_name, command, there) => {
  it.runIf(there)(
    'serves, keeps its key over a restart, and leaves nothing when it is told to end',
    async () => {
      await using program = new Program(command);
      await program.line('serving');
      expect(statSync(program.socket).mode & 0o777).toBe(0o600);
      expect(statSync(program.state).mode & 0o777).toBe(0o700);
      expect(statSync(join(program.state, 'identity.json')).mode & 0o777).toBe(0o600);
      const identity = readFileSync(join(program.state, 'identity.json'), 'utf8');
      program.child.kill('SIGTERM');
      expect(await program.ended).toEqual([0, null]);
      expect(existsSync(program.socket)).toBe(false);

      const [path = '', ...args] = command;
      const places = ['--listen', `unix:${program.socket}`, '--root', program.root, '--state', program.state];
      const again = spawn(path, [...args, ...places]);
      await once(createInterface(again.stderr), 'line');
      expect(readFileSync(join(program.state, 'identity.json'), 'utf8')).toBe(identity);
      again.kill('SIGKILL');
      await once(again, 'exit');
    },
  );

  it.runIf(there)(
    'finds a token in the file that it is told, and becomes another agent when it is told',
    async () => {
      const token = newEnrolmentToken();
      const tokens = new TempDirectory();
      const file = join(tokens.path, 'token');
      writeFileSync(file, token);
      await using program = new Program(command, '--enrolment-token-file', file);
      const [, shown = ''] = /key ([0-9a-f]{64})/.exec(await program.line(', key ')) ?? [];
      const host = await TestHost.connect(program.socket, await makeCertificate());
      const { enrolment, agent } = await host.login();
      expect(host.keys().agentKey).toBe(shown);
      expect(isEnrolmentProof(enrolment?.proofs[0] ?? '', enrolmentKey(token), host.keys())).toBe(true);
      await host.features();
      await host.close();
      program.child.kill('SIGTERM');
      await program.ended;
      tokens[Symbol.dispose]();

      expect(existsSync(join(program.state, 'host.pin'))).toBe(true);
      const [path = '', ...args] = command;
      const renewing = spawn(path, [...args, '--new-identity', '--state', program.state]);
      const [[status], said] = await Promise.all([once(renewing, 'exit'), once(renewing.stderr, 'data')]);
      expect(status).toBe(0);
      const renewed = JSON.parse(readFileSync(join(program.state, 'identity.json'), 'utf8'));
      expect(renewed.id).not.toBe(agent.id);
      expect(String(said)).toMatch(new RegExp(`agent ${renewed.id}, key (?!${shown})[0-9a-f]{64}`));
      expect(existsSync(join(program.state, 'host.pin'))).toBe(false);
    },
  );

  it.runIf(there)('lists, reads and removes', async () => {
    await using program = new Program(command);
    await program.line('serving');
    const large = Buffer.alloc(20_000_000, 'lazaret ');
    writeFileSync(join(program.root, 'large'), large);
    writeFileSync(join(program.root, 'bad'), 'malware');
    const host = await TestHost.connect(program.socket, await makeCertificate());
    await host.login();
    await host.grant('query:files', 'query:content', 'query:processes', 'delete:file', 'update:file');
    expect((await host.files()).at(-1)).toMatchObject({ files: 2, bytes: large.length + 7 });
    const parts: Buffer[] = [];
    for await (const { kind, payload } of host.content([{ path: '/large' }])) {
      if (kind === RECORD.data) parts.push(Buffer.from(payload));
      // A host that is slow: buffers that go round in the agent must not be filled again too early.
      if (parts.length % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sha256(Buffer.concat(parts))).toBe(sha256(large));
    const target = fileTarget(program.root, '/bad', 'malware');
    expect(await host.send({ name: 'delete:file', target })).toEqual({ code: 'done' });
    await host.stage(sha256('new'), Buffer.from('new'));
    const update = { path: '/made', expect: null, content: sha256('new') };
    expect(await host.send({ name: 'update:file', target: update })).toEqual({ code: 'done' });
    expect(readdirSync(program.root).sort()).toEqual(['large', 'made']);
    await host.close();
  });

  it.runIf(there && hasTmpfs)('tells numbers of 64 bits, and puts a sparse file back as it was', async () => {
    vi.stubEnv('TMPDIR', '/dev/shm');
    await using program = new Program(command);
    vi.unstubAllEnvs();
    await program.line('serving');
    const path = join(program.root, 'bad');
    const content = Buffer.alloc(8 * 1024 * 1024, 'malware', 'latin1').fill(0, 4096);
    writeFileSync(path, content.subarray(0, 4096));
    truncateSync(path, content.length);
    execFileSync('touch', ['-d', '@1000000000000', path]);
    execFileSync('truncate', ['-s', '8EB', join(program.root, 'huge')]);
    const before = statSync(path);
    const host = await TestHost.connect(program.socket, await makeCertificate());
    await host.login();
    await host.grant('query:files', 'contain:file', 'restore:file');
    const [line, end] = await host.files();
    expect(end).toMatchObject({ files: 2, bytes: MOST_COUNTED });
    const files = line?.type === 'directory' ? line.files : [];
    expect(files.find(([name]) => name === 'huge')?.[2]).toBe(MOST_COUNTED);
    expect(files.find(([name]) => name === 'bad')?.[3]).toBe('1000000000000.000000000');

    const target = fileTarget(program.root, '/bad', content);
    const { code, state } = await host.send({ name: 'contain:file', target });
    if (!state) throw new Error(`no state with ${code}`);
    await host.stage(target.sha256, content);
    const back = { path: '/bad', sha256: target.sha256, state };
    expect(await host.send({ name: 'restore:file', target: back })).toEqual({ code: 'done' });
    expect(readFileSync(path).equals(content)).toBe(true);
    const { size, blocks, mtimeMs } = statSync(path);
    expect({ size, blocks, mtimeMs }).toEqual({
      size: before.size,
      blocks: before.blocks,
      mtimeMs: before.mtimeMs,
    });
    await host.close();
  });

  it.runIf(there)('finds a process whose file is gone, and stops it', async () => {
    await using program = new Program(command);
    await program.line('serving');
    const path = join(program.root, 'sleeper');
    copyFileSync('/bin/sleep', path);
    const sleeper = spawn(path, ['600']);
    await once(sleeper, 'spawn');
    const ended = once(sleeper, 'exit');
    rmSync(path);
    const host = await TestHost.connect(program.socket, await makeCertificate());
    await host.login();
    await host.grant('query:processes', 'stop:process');
    const [found, end] = await host.processes();
    expect(end).toEqual({ type: 'end', processes: 1 });
    expect(found).toMatchObject({ pid: sleeper.pid, name: 'sleeper', commandLine: [path, '600'] });
    if (found?.type !== 'process' || !found.executable) throw new Error('no executable');
    expect(found.executable).toMatchObject({ path: '/sleeper', deleted: true, inMemory: false });
    const { pid, start, executable } = found;
    const target = { pid, start, executable: { dev: executable.dev, ino: executable.ino } };
    expect(await host.send({ name: 'stop:process', target })).toEqual({ code: 'done' });
    expect(await ended).toEqual([null, 'SIGKILL']);
    await host.close();
  });

  it.runIf(there)('replaces the socket of an agent that was killed, not that of one that lives', async () => {
    await using first = new Program(command);
    await first.line('serving');
    const [path = '', ...args] = command;
    const places = ['--listen', `unix:${first.socket}`, '--root', first.root, '--state', `${first.state}2`];
    const second = spawn(path, [...args, ...places]);
    expect(String(await once(second.stderr, 'data'))).toContain('another agent listens there');
    first.child.kill('SIGKILL');
    await first.ended;
    const third = spawn(path, [...args, ...places]);
    expect(String(await once(third.stderr, 'data'))).toContain('serving');
    const socket = connect(first.socket);
    await once(socket, 'connect');
    socket.destroy();
    third.kill('SIGTERM');
    await once(third, 'exit');
  });
});

describe('wrong use', () => {
  it.each([
    [['--listen', 'tcp:1'], 64, 'unix:PATH'],
    [['--port', '/dev/null', '--listen', 'unix:x'], 64, 'either'],
    [['--frobnicate'], 64, 'frobnicate'],
    [['--new-identity', '--listen', 'unix:x'], 64, '--new-identity'],
    [['--new-identity', '--state', '/dev/null/x'], 1, '--state'],
    [['--listen', 'unix:x', '--config', '/nowhere'], 78, '/nowhere'],
    [['--port', '/nowhere', '--state', '/dev/null/x'], 1, '--state'],
  ])('%j ends with %i and says why', async (args, code, text) => {
    const [program = '', ...first] = source;
    const child = spawn(program, [...first, ...args]);
    const [[status], said] = await Promise.all([once(child, 'exit'), once(child.stderr, 'data')]);
    expect(status).toBe(code);
    expect(String(said)).toContain(text);
  });
});

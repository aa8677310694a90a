/** The host's channel against the real agent, a process of its own on a unix socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConnectedGuest, type ConnectOptions, connectGuest } from '../../core/capability/connect.ts';
import type { Identity } from '../../core/channel/identity.ts';
import type { VmRecord } from '../../core/store/records.ts';
import {
  GuestPath,
  INSTRUCTION_NAMES,
  type Instruction,
  RECORD,
  type SealedInstruction,
} from '../../protocol/index.ts';
import { Port } from './port.ts';
import { codeOf, collect, freshPath, hostIdentity, otherIdentity } from './setting.ts';

const MAIN = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));
const CONTENT = Buffer.from('a file of the guest\n');
const LARGE = Buffer.alloc(3 * 1024 * 1024, 'large ');
const INVENTORY = {
  ...{ roots: ['/'], excludes: [], oneFileSystem: true },
  ...{ maxEntries: 1000, maxDepth: 64, maxSeconds: 60 },
};

describe('the channel to the real agent', () => {
  const root = freshPath('root');
  const [socket, portPath] = [freshPath('agent.sock'), freshPath('port.sock')];
  const saved = new Map<string, VmRecord>();
  let agent: ChildProcess;

  beforeAll(async () => {
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc', 'small'), CONTENT);
    writeFileSync(Buffer.concat([Buffer.from(join(root, 'etc')), Buffer.from('/\xff\x1b', 'latin1')]), '');
    writeFileSync(join(root, 'large'), LARGE);
    const args = ['--listen', `unix:${socket}`, '--root', root, '--state', freshPath('agent-state')];
    const flags = ['--disable-warning=ExperimentalWarning'];
    agent = spawn(process.execPath, [...flags, MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    await once(agent.stderr as NodeJS.ReadableStream, 'data');
    expect(existsSync(socket)).toBe(true);
  });
  afterAll(async () => {
    agent.kill();
    await once(agent, 'exit');
  });

  const connect = (identity: Identity = hostIdentity, path = socket): Promise<ConnectedGuest> => {
    const options: ConnectOptions = {
      identity,
      enrolments: { find: (id) => saved.get(id), save: (record) => void saved.set(record.id, record) },
      policy: { allow: INSTRUCTION_NAMES.filter((name) => name !== 'stop:process') },
      needs: INSTRUCTION_NAMES,
      clock: Date.now,
    };
    return connectGuest({ id: 'guest', name: 'guest', socket: path }, options);
  };

  const seal = (epoch: number, instruction: Instruction, lifetime = 60_000): SealedInstruction => ({
    ...{ id: randomUUID(), epoch, expires: Date.now() + lifetime },
    instruction,
  });

  it('negotiates, lists and reads', async () => {
    const { session, features, instructionSet, vm } = await connect();
    expect(features['x-lazaret'].os.arch).not.toBe('');
    expect(instructionSet.instructions).toContain('contain:file');
    expect(vm.epoch).toBe(1);

    const lines = await collect(session.listFiles(INVENTORY));
    const names = lines.flatMap((line) =>
      line.type === 'directory'
        ? line.files.map(([name]) => GuestPath.of(line.path).child(name).display())
        : [],
    );
    expect(names.toSorted()).toEqual(['/etc/\\xff\\x1b', '/etc/small', '/large']);

    const files = [{ path: '/etc/small' }, { path: '/missing' }, { path: '/large' }, { path: '/etc' }];
    const contents = files.map(() => Buffer.alloc(0));
    const failures: number[] = [];
    for await (const group of session.readContent({ files, maxFileBytes: 1 << 30 })) {
      for (const { kind, index, payload } of group) {
        if (kind === RECORD.data) contents[index] = Buffer.concat([contents[index] as Buffer, payload]);
        if (kind === RECORD.fail) failures.push(index);
      }
    }
    expect(contents[0]).toEqual(CONTENT);
    expect(contents[2]?.equals(LARGE)).toBe(true);
    expect(failures).toEqual([1, 3]);

    const processes = await collect(session.listProcesses());
    expect(processes.at(-1)?.type).toBe('end');
    await session.close();
  });

  it('carries a command out once, and refuses what is expired, of another epoch or not granted', async () => {
    const { session } = await connect();
    const path = join(root, 'victim');
    const remove = async (lifetime?: number, epoch = session.epoch): Promise<SealedInstruction> => {
      writeFileSync(path, CONTENT);
      const lines = await collect(session.listFiles(INVENTORY));
      const at = lines.find((line) => line.type === 'directory' && line.path === '/');
      if (at?.type !== 'directory') throw new Error('the root was not listed');
      const ino = at.files.find(([name]) => name === 'victim')?.[1] ?? '';
      const sha256 = createHash('sha256').update(CONTENT).digest('hex');
      const target = { path: '/victim', dev: at.dev, ino, sha256 };
      return seal(epoch, { name: 'delete:file', target }, lifetime);
    };
    expect(await session.send(await remove(-1000))).toMatchObject({ code: 'expired' });
    expect(await session.send(await remove(60_000, session.epoch + 1))).toMatchObject({
      code: 'wrong-epoch',
    });
    expect(existsSync(path)).toBe(true);
    const sealed = await remove();
    expect(await session.send(sealed)).toMatchObject({ code: 'done' });
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, 'somebody else put this here');
    expect(await session.send(sealed)).toMatchObject({ code: 'done' });
    expect(readFileSync(path, 'utf8')).toBe('somebody else put this here');
    const executable = { dev: '1', ino: '1' };
    const stop = { name: 'stop:process', target: { pid: agent.pid ?? 0, start: '1', executable } } as const;
    expect(await session.send(seal(session.epoch, stop))).toMatchObject({ code: 'not-granted' });
    await session.close();
  });

  it('is a new session after each connection, also when one was cut in the middle', async () => {
    await using port = await Port.start(portPath, socket);
    for (const after of [10, 40, 400, 1200]) {
      port.cutNext('toHost', after);
      expect(['no-agent', 'tls-failed', 'session-lost', 'no error']).toContain(
        await codeOf(connect(hostIdentity, portPath).then(({ session }) => session.close())),
      );
      port.heal();
      const { session } = await connect(hostIdentity, portPath);
      expect((await session.queryFeatures()).profiles).toContain('er');
      await session.close();
    }
  });

  it('is closed to a host that is not the pinned one', async () => {
    expect(await codeOf(connect(otherIdentity))).toBe('login-failed');
    await (await connect()).session.close();
  });
});

import { randomUUID } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { RECORD, ROUTES } from '../../protocol/index.ts';
import { bodyOf, contentOf, ScriptedAgent, sendLines } from './scripted-agent.ts';
import { agentIdentity, codeOf, collect, freshPath, keysOf, logInTo } from './setting.ts';

const keys = keysOf(agentIdentity);
const INVENTORY = {
  roots: ['/'],
  excludes: [],
  oneFileSystem: true,
  maxEntries: 1000,
  maxDepth: 64,
  maxSeconds: 60,
};

describe('a session with a sound agent', () => {
  it('does all that the contract has', async () => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys });
    const session = await logInTo(path);
    expect(session.login.agent.id).toBe(agent.agentId);

    const features = await session.queryFeatures();
    expect(features.pairs.contain).toEqual(['file']);
    await session.grant({ id: 'set', instructions: ['query:files'] });

    const lines = await collect(session.listFiles(INVENTORY));
    expect(lines.map(({ type }) => type)).toEqual(['directory', 'end']);

    const files = Array.from({ length: 100 }, (_, index) => ({ path: `/f${index}` }));
    const contents: Buffer[] = [];
    for await (const group of session.readContent({ files, maxFileBytes: 1000 })) {
      for (const record of group) if (record.kind === RECORD.data) contents.push(Buffer.from(record.payload));
    }
    expect(contents).toEqual(files.map((_, index) => contentOf(index)));

    const processes = await collect(session.listProcesses());
    expect(processes.map(({ type }) => type)).toEqual(['process', 'end']);

    await session.stage('0'.repeat(64), chunks(3 * 1024 * 1024));
    const target = { pid: 5, start: '1', executable: { dev: '1', ino: '1' } };
    const instruction = { name: 'stop:process', target } as const;
    const sealed = { id: randomUUID(), epoch: 1, expires: Date.now() + 1000, instruction };
    expect(await session.send(sealed)).toEqual({ code: 'done' });

    await session.close();
    expect(await session.ended).toBeUndefined();
  });
});

describe('a list of processes in pages', () => {
  const told = (pid: number) => ({
    ...{ type: 'process', pid, parent: 1, start: '1', uid: 0, name: 'x', commandLine: [] },
  });
  /** Lists so many processes, two to a page; `next` is what each page says to ask for. */
  async function listed(count: number, next = (last: number) => last) {
    const path = freshPath();
    const asked: unknown[] = [];
    const routes = {
      [ROUTES.processes]: (stream: ServerHttp2Stream) =>
        void bodyOf(stream).then((body) => {
          const { after } = JSON.parse(String(body));
          asked.push(after);
          const pids = [after + 1, after + 2].filter((pid) => pid <= count);
          const last = after + 2;
          const end = last < count ? { type: 'more', after: next(last) } : { type: 'end', processes: count };
          sendLines(stream, [...pids.map(told), end]);
        }),
    };
    await using _agent = await ScriptedAgent.start(path, { keys, routes });
    const session = await logInTo(path);
    const lines = collect(session.listProcesses());
    return { asked, code: await codeOf(lines), lines: await lines.catch(() => []) };
  }

  it('is asked for page by page, and is one list', async () => {
    const { asked, lines } = await listed(5);
    expect(asked).toEqual([0, 2, 4]);
    expect(lines.map((line) => (line.type === 'process' ? line.pid : line.type))).toEqual([
      1,
      2,
      3,
      4,
      5,
      'end',
    ]);
  });

  it('breaks the protocol where a page leads nowhere', async () => {
    expect(await listed(5, () => 2)).toMatchObject({ asked: [0, 2], code: 'protocol-violation' });
  });
});

async function* chunks(bytes: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < bytes; sent += 65_536) yield Buffer.alloc(65_536, 1);
}

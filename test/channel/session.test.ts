import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { RECORD } from '../../protocol/index.ts';
import { contentOf, ScriptedAgent } from './scripted-agent.ts';
import { agentIdentity, collect, freshPath, keysOf, logInTo } from './setting.ts';

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

async function* chunks(bytes: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < bytes; sent += 65_536) yield Buffer.alloc(65_536, 1);
}

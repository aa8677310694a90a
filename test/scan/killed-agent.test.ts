/**
 * A guest with as many findings as it can have processes, whose agent is killed while they are answered: the scan ends
 * as soon as that is known. No answer to a finding asks anything of the guest here, so nothing else would tell.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodeLine, LIMITS, ROUTES } from '../../protocol/index.ts';
import { bodyOf, fileRecords, HEARTBEAT, loginLine, ScriptedAgent } from '../channel/scripted-agent.ts';
import { agentIdentity, keysOf } from '../channel/setting.ts';
import { TestEngine } from './engine.ts';
import { forThisTest } from './setting.ts';

const BEAT_MS = 5_000;

function login(stream: ServerHttp2Stream, _headers: unknown, agent: ScriptedAgent): void {
  stream.respond({ ':status': 200 });
  stream.write(encodeLine(loginLine(agent)));
  const timer = setInterval(() => stream.write(HEARTBEAT), BEAT_MS);
  stream.on('data', () => stream.write(HEARTBEAT)).on('close', () => clearInterval(timer));
}

/** Each runs an executable of its own, which is deleted. */
async function listProcesses(stream: ServerHttp2Stream): Promise<void> {
  stream.respond({ ':status': 200 });
  for (let pid = 10; pid < LIMITS.processes + 10; pid++) {
    const inode = { path: `/tmp/x${pid}`, dev: '9', ino: String(pid), deleted: true, inMemory: false };
    const told = { type: 'process', pid, parent: 1, start: '5', uid: 0, name: 'x', commandLine: ['x'] };
    if (stream.destroyed) return;
    if (!stream.write(encodeLine({ ...told, executable: { ...inode, placed: true } }))) {
      await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
    }
  }
  stream.end(encodeLine({ type: 'end', processes: LIMITS.processes }));
}

async function sendContent(stream: ServerHttp2Stream): Promise<void> {
  const { files } = JSON.parse(String(await bodyOf(stream))) as { files: unknown[] };
  stream.respond({ ':status': 200 });
  stream.end(
    Buffer.concat(files.map((file, index) => fileRecords(index, Buffer.from(JSON.stringify(file))))),
  );
}

it.each(['contain', 'detect'] as const)('ends the scan, in mode %s', async (mode) => {
  const directory = mkdtempSync(join(tmpdir(), 'lazaret-killed-'));
  forThisTest({ [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true, force: true }) });
  const agent = forThisTest(
    await ScriptedAgent.start(join(directory, 'agent.sock'), {
      keys: keysOf(agentIdentity),
      routes: {
        [ROUTES.login]: login,
        [ROUTES.processes]: (stream) => void listProcesses(stream),
        [ROUTES.content]: (stream) => void sendContent(stream),
      },
    }),
  );
  let told = 0;
  const engine = forThisTest(
    await TestEngine.start(directory, {
      onEvent: () => {
        told += 1;
        if (told === 300) agent.cutOff();
      },
    }),
  );
  await expect(engine.scan({ mode })).rejects.toMatchObject({ code: 'session-lost' });
  const { scans, findings } = engine.kept();
  expect(scans).toMatchObject([{ state: 'failed' }]);
  expect(findings.length).toBeGreaterThan(0);
  expect(findings.length).toBeLessThan(1000);
  expect(engine.spooled()).toEqual([]);
});

/**
 * A listing that is read slowly, beside contents that are wanted meanwhile: the packed agent's runtime sends
 * nothing on any stream behind one that has to wait, so the host must not let any wait.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectGuest } from '../../core/capability/connect.ts';
import { loadIdentity } from '../../core/channel/identity.ts';
import { bareSocket } from '../../core/hypervisor/sockets.ts';
import { RECORD } from '../../protocol/index.ts';
import { need } from '../need.ts';

const AGENT = fileURLToPath(new URL('../../dist/lazaret-agent', import.meta.url));
const ready = need({ what: 'the packed agent', there: existsSync(AGENT), get: 'npm run build:agent' });

/** With long names, so that their listing is larger than a stream's window and all that lies before it. */
const FILES = 60_000;
const LARGE_BYTES = 64 * 1024 * 1024;

describe.runIf(ready)('a listing that nobody reads', { timeout: 120_000 }, () => {
  let directory: string;
  let agent: ChildProcess;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lazaret-stall-'));
    await mkdir(join(directory, 'root'));
    await writeFile(join(directory, 'root', 'large'), Buffer.alloc(LARGE_BYTES, 1));
    for (let number = 0; number < FILES; number++) {
      await writeFile(join(directory, 'root', `${'x'.repeat(200)}${number}`), '');
    }
    const options = ['--listen', `unix:${join(directory, 'a.sock')}`, '--root', join(directory, 'root')];
    agent = spawn(AGENT, [...options, '--state', join(directory, 'agent')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await once(createInterface(agent.stderr as NodeJS.ReadableStream), 'line');
  });
  afterAll(async () => {
    const ended = once(agent, 'exit');
    agent.kill();
    await ended;
    await rm(directory, { recursive: true });
  });

  it('keeps no content from coming', async () => {
    const needs = ['query:files', 'query:content'] as const;
    const enrolments = { find: () => undefined, save: () => undefined };
    const identity = await loadIdentity(join(directory, 'state'));
    const options = { identity, enrolments, policy: { allow: needs }, needs, clock: Date.now };
    const { session } = await connectGuest(bareSocket(join(directory, 'a.sock')), options);
    const budget = { oneFileSystem: false, maxEntries: 1_000_000, maxDepth: 8, maxSeconds: 600 };
    const listing = session.listFiles({ roots: ['/'], excludes: [], ...budget })[Symbol.asyncIterator]();
    await listing.next();
    const files = Array.from({ length: 4 }, () => ({ path: '/large' }));
    let bytes = 0;
    for await (const records of session.readContent({ files, maxFileBytes: LARGE_BYTES })) {
      for (const { kind, payload } of records) if (kind === RECORD.data) bytes += payload.length;
    }
    expect(bytes).toBe(4 * LARGE_BYTES);
    let listed = 0;
    for (let next = await listing.next(); !next.done; next = await listing.next()) {
      if (next.value.type === 'end') listed = next.value.files;
    }
    expect(listed).toBe(FILES + 1);
    await session.close();
  });
});

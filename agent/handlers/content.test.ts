import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ContentFailure,
  type ContentRequest,
  FileFacts,
  LIMITS,
  RECORD,
  ROUTES,
} from '../../protocol/index.ts';
import { readStat } from '../linux/process.ts';
import type { TestHost } from '../testing/host.ts';
import { TestAgent } from '../testing/tree.ts';

type Read = { readonly content: Buffer; readonly facts: FileFacts } | { readonly reason: string };

/** Each file as it came, in the order of the request. */
async function read(host: TestHost, files: ContentRequest['files'], maxFileBytes?: number): Promise<Read[]> {
  const done: Read[] = [];
  let facts: FileFacts | undefined;
  let parts: Buffer[] = [];
  for await (const { kind, index, payload } of host.content(files, maxFileBytes)) {
    expect(index).toBe(done.length);
    expect(payload.length).toBeLessThanOrEqual(LIMITS.recordBytes);
    if (kind === RECORD.open) facts = FileFacts.parse(JSON.parse(payload.toString()));
    else if (kind === RECORD.data) parts.push(Buffer.from(payload));
    else if (kind === RECORD.end && facts) done.push({ content: Buffer.concat(parts), facts });
    else done.push({ reason: ContentFailure.parse(JSON.parse(payload.toString())).reason });
    if (kind === RECORD.end || kind === RECORD.fail) parts = [];
  }
  return done;
}

describe('content', () => {
  it('comes whole, small and large, empty and sparse, in the order asked for', async () => {
    await using agent = await TestAgent.start();
    const contents = [0, 1, 5000, LIMITS.recordBytes, LIMITS.recordBytes + 1, 3_000_000].map((size) =>
      randomBytes(size),
    );
    for (const [index, content] of contents.entries()) writeFileSync(join(agent.root, `f${index}`), content);
    writeFileSync(join(agent.root, 'sparse'), '');
    truncateSync(join(agent.root, 'sparse'), 2_000_000);
    const host = await agent.session('query:content');
    const files = [...contents.keys()].map((index) => ({ path: `/f${index}` }));
    const results = await read(host, [...files, { path: '/sparse' }]);
    for (const [index, content] of [...contents, Buffer.alloc(2_000_000)].entries()) {
      const result = results[index];
      if (!result || !('content' in result)) throw new Error(`no content: ${JSON.stringify(result)}`);
      expect(result.content.equals(content)).toBe(true);
      expect(result.facts.size).toBe(content.length);
    }
  });

  it('fails alone for what is no regular file, is gone, or is too large', async () => {
    await using agent = await TestAgent.start();
    execFileSync('mkfifo', [join(agent.root, 'fifo')]);
    symlinkSync('/etc/passwd', join(agent.root, 'link'));
    writeFileSync(join(agent.root, 'big'), 'four');
    writeFileSync(join(agent.root, 'good'), 'yes');
    const host = await agent.session('query:content');
    const paths = ['/fifo', '/link', '/', '/gone', '/good/below', '/big', '/good'];
    const results = await read(
      host,
      paths.map((path) => ({ path })),
      3,
    );
    const reasons = results.map((result) => ('reason' in result ? result.reason : result.content.toString()));
    const [notRegular, vanished] = ['not-regular', 'vanished'];
    expect(reasons).toEqual([notRegular, notRegular, notRegular, vanished, vanished, 'too-large', 'yes']);
  });

  it('says when a file did not keep the size that it was opened with', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'large');
    const host = await agent.session('query:content');
    for (const [change, reason] of [
      [(): void => truncateSync(path, 1_000_000), 'shrank'],
      [(): void => appendFileSync(path, 'more'), 'grew'],
    ] as const) {
      // Larger than all that can be on its way, so that the end is read after the change.
      writeFileSync(path, Buffer.alloc(64 * 1024 * 1024, 1));
      let last = '';
      for await (const { kind, payload } of host.content([{ path: '/large' }])) {
        if (kind === RECORD.open) change();
        if (kind === RECORD.fail) last = ContentFailure.parse(JSON.parse(payload.toString())).reason;
      }
      expect(last).toBe(reason);
    }
  });

  it('of a running process is its executable, also without a name', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'program');
    copyFileSync('/bin/sleep', path);
    const expected = readFileSync(path);
    const child = spawn(path, ['60']);
    await once(child, 'spawn');
    rmSync(path);
    const pid = child.pid ?? 0;
    const { start } = readStat(pid);
    const host = await agent.session('query:content');
    const elsewhere = { pid: process.pid, start: readStat(process.pid).start };
    const results = await read(host, [{ pid, start }, { pid, start: '1' }, elsewhere]);
    child.kill('SIGKILL');
    const [found, reused, outside] = results;
    expect(found && 'content' in found && found.content.equals(expected)).toBe(true);
    expect(reused).toEqual({ reason: 'vanished' });
    // Its executable lies outside of what this agent serves.
    expect(outside).toEqual({ reason: 'not-regular' });
  });

  it('is held back by a host that does not read, and ends when it is cancelled', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'large');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 40);
    const host = await agent.session('query:content', 'query:files');
    const body = await host.read(ROUTES.content, { files: [{ path: '/large' }], maxFileBytes: 2 ** 41 });
    await once(body, 'readable');
    body.destroy();
    // The session goes on, and nothing of the endless file is in the way.
    expect((await host.files()).at(-1)).toMatchObject({ files: 1 });
  });
});

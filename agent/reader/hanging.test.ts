/** What a file system that never answers costs: that part of the guest, and nothing else. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORD } from '../../protocol/index.ts';
import { need } from '../../test/need.ts';
import type { AgentOptions } from '../agent.ts';
import { HangingMount } from '../testing/hanging-mount.ts';
import type { TestHost } from '../testing/host.ts';
import { fileTarget, sha256, TestAgent } from '../testing/tree.ts';

const hungAfterMs = 1000;
const canMount = need(await HangingMount.need());

async function agentWithFiles(options: Partial<AgentOptions> = {}): Promise<TestAgent> {
  const agent = await TestAgent.start({ hungAfterMs, ...options });
  for (const name of ['a', 'b', 'z']) {
    mkdirSync(join(agent.root, name));
    writeFileSync(join(agent.root, name, 'file'), name);
  }
  return agent;
}

async function listing(host: TestHost) {
  const lines = await host.files();
  const files = lines.flatMap((line) =>
    line.type === 'directory' ? line.files.map(([name]) => `${line.path}/${name}`) : [],
  );
  return { files: files.sort(), faults: lines.filter(({ type }) => type === 'fault'), end: lines.at(-1) };
}

async function records(host: TestHost, paths: string[]): Promise<[kind: number, payload: string][][]> {
  const all: [number, string][][] = paths.map(() => []);
  for await (const { kind, index, payload } of host.content(paths.map((path) => ({ path })))) {
    all[index]?.push([kind, payload.toString()]);
  }
  return all;
}

describe.runIf(canMount)('a mount that never answers', () => {
  it('is named, and all beside it is listed, again and again', async () => {
    await using agent = await agentWithFiles();
    await using _ = await HangingMount.at(join(agent.root, 'hung'), 'dead');
    const host = await agent.session('query:files');
    for (const _ of [1, 2]) {
      const { files, faults, end } = await listing(host);
      expect(files).toEqual(['/a/file', '/b/file', '/z/file']);
      expect(faults).toMatchObject([
        {
          path: '/hung',
          fault: 'unresponsive',
          detail: expect.stringContaining('/hung (fuse.lazaret-test)'),
        },
      ]);
      expect(end).toMatchObject({ type: 'end', files: 3 });
    }
  });

  it('costs its own files their content, and the others nothing', async () => {
    await using agent = await agentWithFiles();
    await using _ = await HangingMount.at(join(agent.root, 'hung'), 'read');
    const host = await agent.session('query:files', 'query:content');
    expect((await listing(host)).files).toContain('/hung/one');
    const [a, one, b, two, z] = await records(host, [
      '/a/file',
      '/hung/one',
      '/b/file',
      '/hung/two',
      '/z/file',
    ]);
    for (const [read, content] of [
      [a, 'a'],
      [b, 'b'],
      [z, 'z'],
    ] as const) {
      expect(read?.slice(1)).toEqual([
        [RECORD.data, content],
        [RECORD.end, ''],
      ]);
    }
    for (const hung of [one, two]) {
      expect(hung?.at(-1)?.[0]).toBe(RECORD.fail);
      expect(JSON.parse(hung?.at(-1)?.[1] ?? '')).toMatchObject({ reason: 'unresponsive' });
    }
  });

  it('costs its own files their digests, and the others nothing', async () => {
    await using agent = await agentWithFiles();
    await using _ = await HangingMount.at(join(agent.root, 'hung'), 'read');
    const host = await agent.session('query:content');
    const paths = ['/a/file', '/hung/one', '/z/file'].map((path) => ({ path }));
    expect((await host.digests(paths)).filter(({ type }) => type !== 'working')).toMatchObject([
      { index: 0, sha256: sha256('a') },
      { index: 1, failure: { reason: 'unresponsive', detail: expect.stringContaining('/hung') } },
      { index: 2, sha256: sha256('z') },
      { type: 'end' },
    ]);
  });

  it('is asked again once it answers', async () => {
    await using agent = await agentWithFiles();
    const host = await agent.session('query:files');
    {
      await using _ = await HangingMount.at(join(agent.root, 'hung'), 'dead');
      expect((await listing(host)).faults).toHaveLength(1);
    }
    writeFileSync(join(agent.root, 'hung', 'file'), 'x');
    const { files, faults } = await listing(host);
    expect(faults).toEqual([]);
    expect(files).toContain('/hung/file');
  });

  it('keeps a command waiting no longer than it may take, and the session goes on', async () => {
    await using agent = await agentWithFiles();
    await using _ = await HangingMount.at(join(agent.root, 'hung'), 'read');
    const host = await agent.session('contain:file', 'query:files');
    const contain = (path: string, content: string, id = randomUUID()) => {
      const target = fileTarget(agent.root, path, content);
      return host.send({ name: 'contain:file', target }, { id });
    };
    const id = randomUUID();
    const outcome = await contain('/hung/one', 'irrelevant', id);
    expect(outcome).toMatchObject({ code: 'failed', detail: expect.stringContaining('did not come back') });
    expect(await contain('/hung/one', 'irrelevant', id)).toEqual(outcome);
    expect(await contain('/a/file', 'a')).toMatchObject({ code: 'done' });
    // The kernel holds the directory as long as that call waits.
    const { files, faults } = await listing(host);
    expect(files).toEqual(['/b/file', '/z/file']);
    expect(faults).toMatchObject([{ path: '/hung', fault: 'unresponsive' }]);
  });

  it('leaves no more readers behind than it may: then all is unresponsive at once, until one comes back', async () => {
    await using agent = await agentWithFiles({ mostStranded: 1 });
    const host = await agent.session('query:files', 'query:content', 'query:processes');
    {
      await using _ = await HangingMount.at(join(agent.root, 'hung'), 'dead');
      expect((await listing(host)).faults).toContainEqual(expect.objectContaining({ fault: 'unresponsive' }));
      expect((await listing(host)).faults).toMatchObject([{ path: '/', fault: 'unresponsive' }]);
      expect(await records(host, ['/a/file'])).toMatchObject([
        [[RECORD.fail, expect.stringContaining('unresponsive')]],
      ]);
      await expect(host.processes()).rejects.toMatchObject({ refusal: { code: 'failed' } });
    }
    await expect
      .poll(async () => (await listing(host)).files, { timeout: 20_000 })
      .toEqual(['/a/file', '/b/file', '/z/file']);
  });

  it('leaves unknown what the guest is, where the files that tell it hang', async () => {
    await using agent = await agentWithFiles();
    await using _ = await HangingMount.at(join(agent.root, 'usr'), 'dead');
    const host = await agent.session('query:files');
    const { os, packageManager } = (await host.features())['x-lazaret'];
    expect(os).toMatchObject({ id: 'linux', name: 'Linux' });
    expect(packageManager).toBeUndefined();
    expect((await listing(host)).files).toEqual(['/a/file', '/b/file', '/z/file']);
  });

  it('does not hold up the heartbeat, nor what else the host asks', async () => {
    await using agent = await agentWithFiles({ hungAfterMs: 60_000 });
    await using _ = await HangingMount.at(join(agent.root, 'hung'), 'dead');
    const host = await agent.session('query:files', 'query:content');
    const page = host.firstPage();
    // Answered by the agent itself, while its reader hangs.
    await host.grant('query:files');
    // The page ends, as a sign of life, before the walk goes on.
    expect((await page).at(-1)).toMatchObject({ type: 'more' });
  });
});

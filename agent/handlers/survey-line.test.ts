/** Listings that tell what the guest rests on: links, and who may change directories. */
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeBytes, type InventoryLine, LIMITS } from '../../protocol/index.ts';
import { need } from '../../test/need.ts';
import { TestAgent } from '../testing/tree.ts';

type DirectoryLine = Extract<InventoryLine, { type: 'directory' }>;

async function survey(agent: TestAgent, roots: readonly string[], maxDepth = 10): Promise<DirectoryLine[]> {
  const host = await agent.session('query:files');
  const lines = await host.files({ roots: [...roots], maxDepth, survey: true });
  return lines.filter((line) => line.type === 'directory');
}

function make(agent: TestAgent, path: string, mode = 0o755): string {
  const place = join(agent.root, path);
  mkdirSync(place, { recursive: true });
  chmodSync(place, mode);
  return place;
}

const namesIn = (line: DirectoryLine | undefined) => [
  ...(line?.files ?? []).map(([name]) => name),
  ...(line?.links ?? []).map(([name]) => name),
];

describe('a survey', () => {
  it('tells of each directory who may change it, and of its links what they say', async () => {
    await using agent = await TestAgent.start();
    const place = make(agent, 'usr/lib');
    writeFileSync(join(place, 'file'), '');
    symlinkSync('file.1', join(place, 'file.so'));
    symlinkSync(Buffer.from([0xff, 0x0a]), join(place, 'odd'));
    mkdirSync(join(place, 'empty'), { mode: 0o700 });
    const { uid, gid } = statSync(place);
    const lines = await survey(agent, ['/usr/lib']);
    const own = lines.find(({ path }) => path === '/usr/lib');
    expect(own).toMatchObject({
      access: [0o040755, uid, gid],
      files: [['file', ...Array(8).fill(expect.anything())]],
    });
    expect(own?.links?.toSorted()).toEqual([
      ['file.so', 'file.1'],
      ['odd', encodeBytes(Buffer.from([0xff, 0x0a]))],
    ]);
    const empty = lines.find(({ path }) => path === '/usr/lib/empty');
    expect(empty).toMatchObject({ access: [0o040700, uid, gid], files: [], links: [] });
  });

  it.each([0o777, 0o775, 0o1777])(
    'lists nothing of a directory that others may change (%o)',
    async (mode) => {
      await using agent = await TestAgent.start();
      const place = make(agent, 'shared', mode);
      writeFileSync(join(place, 'file'), '');
      symlinkSync('file', join(place, 'link'));
      writeFileSync(join(make(agent, 'shared/below'), 'file'), '');
      const lines = await survey(agent, ['/shared']);
      expect(lines).toMatchObject([{ path: '/shared', files: [], links: [] }]);
      expect(lines[0]?.access?.[0]).toBe(0o040000 | mode);
    },
  );

  it.runIf(need({ what: 'root', there: process.getuid?.() === 0, get: 'run it as root' }))(
    'lists nothing of a directory that another user has',
    async () => {
      await using agent = await TestAgent.start();
      const place = make(agent, 'home');
      writeFileSync(join(place, 'file'), '');
      chownSync(place, 1000, 1000);
      expect(await survey(agent, ['/home'])).toMatchObject([{ path: '/home', files: [], links: [] }]);
    },
  );

  it('takes several lines for many links, none longer than a message', async () => {
    await using agent = await TestAgent.start();
    const place = make(agent, 'many');
    const count = LIMITS.inventoryLineEntries + 1;
    for (let at = 0; at < count; at++) symlinkSync(`/${'\u0001'.repeat(4000)}`, join(place, `l${at}`));
    const lines = await survey(agent, ['/many']);
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(JSON.stringify(line).length).toBeLessThan(LIMITS.messageBytes);
    expect(new Set(lines.flatMap(namesIn)).size).toBe(count);
  });

  it('is asked for: other listings say nothing of it', async () => {
    await using agent = await TestAgent.start();
    symlinkSync('file', join(make(agent, 'd'), 'link'));
    writeFileSync(join(make(agent, 'd', 0o777), 'file'), '');
    const host = await agent.session('query:files');
    const lines = (await host.files({ roots: ['/d'] })).filter(({ type }) => type === 'directory');
    expect(lines).toHaveLength(1);
    expect(Object.keys(lines[0] ?? {})).toEqual(['type', 'path', 'dev', 'files']);
    expect(namesIn(lines[0] as DirectoryLine)).toEqual(['file']);
  });
});

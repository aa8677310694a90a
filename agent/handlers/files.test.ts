import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeBytes, type InventoryLine, type InventoryRequest, LIMITS } from '../../protocol/index.ts';
import { makeDeep, TestAgent } from '../testing/tree.ts';

interface Listed {
  readonly paths: string[];
  readonly faults: InventoryLine[];
  readonly end: Extract<InventoryLine, { type: 'end' }>;
}

async function list(agent: TestAgent, request: Partial<InventoryRequest> = {}): Promise<Listed> {
  const host = await agent.session('query:files');
  const lines = await host.files(request);
  const paths = lines.flatMap((line) => {
    if (line.type !== 'directory') return [];
    const directory = line.path === '/' ? '' : JSON.stringify(line.path).replaceAll('"', '');
    return line.files.map(([name]) => `${directory}/${JSON.stringify(name).replaceAll('"', '')}`);
  });
  const end = lines.at(-1);
  if (end?.type !== 'end') throw new Error('no end');
  return { paths: paths.sort(), faults: lines.filter(({ type }) => type === 'fault'), end };
}

describe('file inventory', () => {
  it('lists regular files and nothing else, and follows no link', async () => {
    await using agent = await TestAgent.start();
    mkdirSync(join(agent.root, 'd'));
    writeFileSync(join(agent.root, 'd', 'plain'), '12345');
    writeFileSync(join(agent.root, 'top'), '');
    symlinkSync('.', join(agent.root, 'd', 'loop'));
    symlinkSync('/etc/passwd', join(agent.root, 'link'));
    execFileSync('mkfifo', [join(agent.root, 'fifo')]);
    const { paths, faults, end } = await list(agent);
    expect(paths).toEqual(['/d/plain', '/top']);
    expect(faults).toEqual([]);
    expect(end).toEqual({ type: 'end', files: 2, directories: 2, bytes: 5 });
  });

  it('gives names as bytes', async () => {
    await using agent = await TestAgent.start();
    const odd = Buffer.from([0x61, 0xff, 0x0a]);
    writeFileSync(Buffer.concat([Buffer.from(`${agent.root}/`), odd]), '');
    writeFileSync(join(agent.root, 'quote"back\\slash\u001b'), '');
    const host = await agent.session('query:files');
    const names = (await host.files()).flatMap((line) =>
      line.type === 'directory' ? line.files.map(([name]) => name) : [],
    );
    expect(names).toHaveLength(2);
    expect(names).toContainEqual(encodeBytes(odd));
    expect(names).toContain('quote"back\\slash\u001b');
  });

  it('takes several lines for a large directory', async () => {
    await using agent = await TestAgent.start();
    const count = LIMITS.inventoryLineEntries + 1;
    for (let index = 0; index < count; index++) writeFileSync(join(agent.root, `f${index}`), '');
    const host = await agent.session('query:files');
    const lines = await host.files();
    expect(lines.map(({ type }) => type)).toEqual(['directory', 'directory', 'end']);
    expect((await list(agent)).paths).toHaveLength(count);
  });

  it('leaves out what is excluded, and starts where it is told', async () => {
    await using agent = await TestAgent.start();
    for (const name of ['a', 'b', 'ab']) {
      mkdirSync(join(agent.root, name));
      writeFileSync(join(agent.root, name, 'f'), '');
    }
    expect((await list(agent, { excludes: ['/a', '/ab/f'] })).paths).toEqual(['/b/f']);
    const some = await list(agent, { roots: ['/a/', '/b/f'] });
    expect(some.faults).toEqual([]);
    expect(some.paths).toEqual(['/a/f', '/b/f']);
  });

  it('ends at its budgets and says at which', async () => {
    await using agent = await TestAgent.start();
    mkdirSync(join(agent.root, 'd', 'e'), { recursive: true });
    for (const path of ['f', 'd/f', 'd/e/f']) writeFileSync(join(agent.root, path), '');
    expect((await list(agent, { maxEntries: 1 })).end.limit).toBe('entries');
    expect((await list(agent, { maxSeconds: 0 })).end.limit).toBe('time');
    const shallow = await list(agent, { maxDepth: 1 });
    expect(shallow.end.limit).toBe('depth');
    expect(shallow.paths).toEqual(['/d/f', '/f']);
  });

  it('reports what it cannot list: a root that is missing, a path that is too long', async () => {
    await using agent = await TestAgent.start();
    expect((await list(agent, { roots: ['/missing'] })).faults).toMatchObject([
      { path: '/missing', fault: 'vanished' },
    ]);
    makeDeep(agent.root, 'n'.repeat(200), 30);
    const deep = await list(agent);
    expect(deep.faults).toMatchObject([{ type: 'fault', fault: 'bad-name' }]);
    expect(deep.end.directories).toBeGreaterThan(15);
  });

  it('needs no stack and no descriptors for a deep tree', async () => {
    await using agent = await TestAgent.start();
    makeDeep(agent.root, 'd', 2000);
    const { paths, faults, end } = await list(agent);
    expect(faults).toEqual([]);
    expect(paths).toEqual([]);
    expect(end.directories).toBe(2001);
  });

  it('leaves out its own state', async () => {
    await using agent = await TestAgent.start({ root: '/' });
    const { paths } = await list(agent, { roots: [encodeBytes(Buffer.from(agent.agent.state, 'utf8'))] });
    expect(paths).toEqual([]);
  });

  it('refuses a malformed request', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('query:files');
    await expect(host.files({ roots: ['relative'] })).rejects.toMatchObject({
      refusal: { code: 'bad-request' },
    });
    await expect(host.files({ roots: [] })).rejects.toMatchObject({ refusal: { code: 'bad-request' } });
  });
});

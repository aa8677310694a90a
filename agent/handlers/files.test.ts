import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  encodeBytes,
  type InventoryLine,
  type InventoryRequest,
  LIMITS,
  LINE_DIGEST_BYTES,
} from '../../protocol/index.ts';
import { makeDeep, TestAgent } from '../testing/tree.ts';

const LONG = 200;
const longName = (index: number): string => `${'n'.repeat(LONG)}${index}`;
const digestOf = (line: string): Buffer =>
  createHash('sha256').update(line).digest().subarray(0, LINE_DIGEST_BYTES);

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

  it('comes in pages, each when it is asked for, and once', async () => {
    await using agent = await TestAgent.start();
    const count = 2 + Math.ceil(LIMITS.inventoryPageBytes / LONG);
    for (let index = 0; index < count; index++) writeFileSync(join(agent.root, longName(index)), '');
    const host = await agent.session('query:files');
    const first = await host.firstPage();
    const more = first.at(-1);
    if (more?.type !== 'more') throw new Error(`one page for all: ${JSON.stringify(more).slice(0, 100)}`);
    const rest = await host.nextPage(more.walk);
    expect(rest.at(-1)).toEqual({ type: 'end', files: count, directories: 1, bytes: 0 });
    const names = [...first, ...rest].flatMap((line) =>
      line.type === 'directory' ? line.files.map(([name]) => name) : [],
    );
    expect(new Set(names).size).toBe(count);
    expect(names).toHaveLength(count);
    const refusal = { refusal: { code: 'bad-request' } };
    await expect(host.nextPage(more.walk)).rejects.toMatchObject(refusal);

    const walks: string[] = [];
    for (let walk = 0; walk < LIMITS.walks; walk++) {
      const last = (await host.firstPage()).at(-1);
      if (last?.type === 'more') walks.push(last.walk);
    }
    await expect(host.firstPage()).rejects.toMatchObject({ refusal: { code: 'busy' } });
    await host.dropWalk(walks[0] as string);
    await expect(host.nextPage(walks[0] as string)).rejects.toMatchObject(refusal);
    expect((await host.firstPage()).at(-1)).toMatchObject({ type: 'more' });
    const stranger = await agent.session('query:files');
    await expect(stranger.nextPage(walks[1] as string)).rejects.toMatchObject(refusal);
  });

  it('has digests in the place of lines that are known, as long as they say the same', async () => {
    await using agent = await TestAgent.start();
    for (const name of ['a', 'b']) {
      mkdirSync(join(agent.root, name));
      writeFileSync(join(agent.root, name, 'f'), name);
    }
    const host = await agent.session('query:files');
    const lines = (await host.files()).filter(({ type }) => type === 'directory');
    const known = lines.map((line) => digestOf(JSON.stringify(line)));
    const again = await host.files({}, [...known, digestOf('another')]);
    expect(again).toEqual([
      { type: 'known', digests: expect.arrayContaining(known.map((digest) => digest.toString('hex'))) },
      { type: 'end', files: 2, directories: 3, bytes: 2 },
    ]);
    writeFileSync(join(agent.root, 'a', 'f'), 'changed');
    const changed = await host.files({}, known);
    expect(changed.map(({ type }) => type).toSorted()).toEqual(['directory', 'end', 'known']);
    expect(changed).toContainEqual(expect.objectContaining({ type: 'directory', path: '/a' }));
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
    const half = [Buffer.alloc(LINE_DIGEST_BYTES / 2)];
    await expect(host.files({}, half)).rejects.toMatchObject({ refusal: { code: 'bad-request' } });
    await expect(host.files({ roots: [] })).rejects.toMatchObject({ refusal: { code: 'bad-request' } });
  });
});

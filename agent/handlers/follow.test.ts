import { closeSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBytes, GuestPath, type InventoryLine, type InventoryRequest } from '../../protocol/index.ts';
import { Root } from '../linux/root.ts';
import { TempDirectory, TestAgent } from '../testing/tree.ts';
import { follow } from './follow.ts';

/** Makes directories (`/` at the end), files, and links (`name -> target`). */
function make(root: string, entries: readonly string[]): void {
  for (const entry of entries) {
    const [name = '', target] = entry.split(' -> ');
    if (target !== undefined) symlinkSync(target, join(root, name));
    else if (name.endsWith('/')) mkdirSync(join(root, name), { recursive: true });
    else writeFileSync(join(root, name), name);
  }
}

const TREE = [
  ...['usr/bin/', 'usr/lib/deep/', 'usr/bin/sh', 'usr/bin/x', 'usr/lib/deep/y', 'top'],
  ...['bin -> usr/bin', 'usr/sbin -> bin', 'absolute -> /usr/lib', 'up -> usr/lib/../bin'],
  ...['out -> ../../../../../../usr/lib', 'file -> usr/bin/sh', 'two -> absolute/deep', 'all -> /'],
  ...['nowhere -> missing/x', 'a -> b', 'b -> a', 'self -> self', 'usr/lib/down -> deep/../../bin/.'],
];

async function list(roots: string[], more: Partial<InventoryRequest> = {}) {
  await using agent = await TestAgent.start();
  make(agent.root, TREE);
  const host = await agent.session('query:files');
  const lines = await host.files({ roots, followRoots: true, ...more });
  const of = <Type extends InventoryLine['type']>(type: Type) =>
    lines.filter((line): line is Extract<InventoryLine, { type: Type }> => line.type === type);
  return {
    files: of('directory')
      .flatMap(({ path, files }) => files.map(([name]) => `${decodeBytes(path)}/${decodeBytes(name)}`))
      .sort(),
    roots: of('root').map(({ path, target }) => `${path} -> ${target}`),
    faults: of('fault').map(({ path, fault, detail }) => `${path}: ${fault}: ${detail}`),
  };
}

const BIN = ['/usr/bin/sh', '/usr/bin/x'];

describe('a root that is a link', () => {
  it.each([
    ['/bin', '/usr/bin', BIN],
    ['/usr/sbin', '/usr/bin', BIN],
    ['/absolute', '/usr/lib', ['/usr/lib/deep/y']],
    ['/up', '/usr/bin', BIN],
    ['/out', '/usr/lib', ['/usr/lib/deep/y']],
    ['/two', '/usr/lib/deep', ['/usr/lib/deep/y']],
    ['/absolute/down', '/usr/bin', BIN],
    ['/file', '/usr/bin/sh', ['/usr/bin/sh']],
    ['/bin/x', '/usr/bin/x', ['/usr/bin/x']],
  ])('%s is listed where it leads, which is told', async (root, target, files) => {
    expect(await list([root])).toEqual({ files, roots: [`${root} -> ${target}`], faults: [] });
  });

  it.each([
    ['/nowhere', 'vanished', 'ENOENT'],
    ['/a', 'unreadable', 'ELOOP'],
    ['/self', 'unreadable', 'ELOOP'],
    ['/file/x', 'vanished', 'ENOTDIR'],
  ])('%s that leads nowhere is a fault: %s', async (root, fault, errno) => {
    const { files, roots, faults } = await list([root]);
    expect([files, roots]).toEqual([[], []]);
    expect(faults).toEqual([expect.stringMatching(new RegExp(`^${root}: ${fault}: .*${errno}`))]);
  });

  it('is listed once, whatever it is called', async () => {
    const { files, roots } = await list(['/bin', '/usr/bin/', '/up', '//usr//sbin']);
    expect(files).toEqual(BIN);
    expect(roots).toHaveLength(3);
  });

  it.each([[['/usr/bin/x']], [['/bin/x']]])(
    'leaves out what is excluded by either name: %j',
    async (excludes) => {
      expect((await list(['/bin'], { excludes })).files).toEqual(['/usr/bin/sh']);
    },
  );

  it.each([[['/usr']], [['/usr/bin']], [['/']], [['/bin']]])(
    'is left out where it leads into %j',
    async (excludes) => {
      expect((await list(['/bin'], { excludes })).files).toEqual([]);
    },
  );

  it('has an alias of its own, not of the root before', async () => {
    const { files } = await list(['/bin', '/usr/lib'], { excludes: ['/bin/deep'] });
    expect(files).toEqual([...BIN, '/usr/lib/deep/y']);
  });

  it('of all is the whole guest, in which no link is followed', async () => {
    const { files, roots } = await list(['/all']);
    expect(roots).toEqual(['/all -> /']);
    expect(files).toEqual(['//top', ...BIN, '/usr/lib/deep/y']);
  });

  it('is a fault where nobody asked for it to be followed', async () => {
    const { files, roots, faults } = await list(['/bin'], { followRoots: false });
    expect([files, roots]).toEqual([[], []]);
    expect(faults).toEqual([expect.stringContaining('/bin: ')]);
  });

  it('says nothing where it is none', async () => {
    expect(await list(['/usr/bin'])).toEqual({ files: BIN, roots: [], faults: [] });
    expect((await list(['/'])).roots).toEqual([]);
  });
});

it('never leads out of the root, and always comes to an end', () => {
  using directory = new TempDirectory();
  const name = fc.constantFrom('a', 'b', 'c', 'd', '..', '.');
  const target = fc.tuple(fc.constantFrom('', '/'), fc.array(name, { minLength: 1, maxLength: 6 }));
  let round = 0;
  fc.assert(
    fc.property(
      fc.array(target, { minLength: 4, maxLength: 4 }),
      fc.array(name, { minLength: 1 }),
      (links, asked) => {
        const path = join(directory.path, String(round++));
        mkdirSync(join(path, 'a'), { recursive: true });
        for (const [index, [slash, parts]] of links.entries()) {
          symlinkSync(
            slash + parts.join('/'),
            join(path, index < 2 ? 'a' : '', ['b', 'c', 'd', 'c'][index] ?? ''),
          );
        }
        const components = asked.filter((one) => !one.startsWith('.'));
        if (components.length === 0) return;
        const root = new Root(path);
        try {
          const reached = follow(root, GuestPath.of(`/${components.join('/')}`));
          // It is opened with links refused: that it can be is what was to be shown.
          closeSync(root.openHandle(reached));
          expect(follow(root, reached).equals(reached)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(ENOENT|ELOOP|ENOTDIR)$/) });
        }
      },
    ),
    { numRuns: 200 },
  );
});

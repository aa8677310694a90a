import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRegularFile, TREE_BOUNDS, walkFiles } from './file-tree.ts';

let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'lazaret-tree-'));
});
afterEach(() => rmSync(top, { recursive: true }));

function put(...names: string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(top, name)), { recursive: true });
    writeFileSync(join(top, name), name);
  }
}

const link = (target: string, name: string): void => symlinkSync(target, join(top, name));
const walk = (more: object = {}) => walkFiles(top, { wants: (name) => name.endsWith('.yar'), ...more });
const names = async (): Promise<string[]> => (await walk()).files.map(({ name }) => name);
const problems = async () =>
  (await walk()).problems.map(({ file, message }) => [file.slice(top.length + 1), message]);

describe('a tree of files', () => {
  it('is found whole, in the order of its names, without what is not wanted', async () => {
    put('b.yar', 'a/c.yar', 'a/d/e.yar', 'README');
    expect(await walk()).toEqual({
      files: ['a/c.yar', 'a/d/e.yar', 'b.yar'].map((name) => ({ path: join(top, name), name })),
      problems: [],
    });
  });

  it('has each file once, under its own name rather than a link’s', async () => {
    put('z.yar', 'real/m.yar');
    link('z.yar', 'a.yar');
    link('real', 'also');
    linkSync(join(top, 'z.yar'), join(top, 'zz.yar'));
    expect(await names()).toHaveLength(2);
    expect(await names()).toEqual(expect.arrayContaining(['real/m.yar']));
    expect(await problems()).toEqual([]);
  });

  it('follows links that lead out of it', async () => {
    put('tree/a.yar', 'elsewhere/b.yar');
    link('../elsewhere', 'tree/more');
    const { files } = await walkFiles(join(top, 'tree'), { wants: () => true });
    expect(files.map(({ name }) => name)).toEqual(['a.yar', 'more/b.yar']);
  });

  it('names links that lead nowhere, and goes on', async () => {
    put('a.yar');
    link('nowhere', 'b.yar');
    link('c.yar', 'c.yar');
    expect(await names()).toEqual(['a.yar']);
    expect(await problems()).toEqual([
      ['b.yar', 'is a link that leads nowhere: mend it or remove it'],
      ['c.yar', 'is a link that leads in a circle: mend it or remove it'],
    ]);
  });

  it.each([
    ['to itself', () => link('.', 'self'), ['self']],
    [
      'to a directory above, twice on each level',
      () => {
        mkdirSync(join(top, 'd1/d2'), { recursive: true });
        link('..', 'd1/d2/d3');
        link('..', 'd1/d2/d4');
      },
      ['d1/d2/d3', 'd1/d2/d4'],
    ],
  ])('does not go round by a link %s', async (_, make, loops) => {
    put('a.yar');
    make();
    expect(await names()).toEqual(['a.yar']);
    const told = loops.map((name) => [name, 'is a link to a directory that it lies in: remove it']);
    expect((await problems()).sort()).toEqual(told);
  });

  it('takes no FIFO, device or directory for a file', async () => {
    execFileSync('mkfifo', [join(top, 'a.yar')]);
    mkdirSync(join(top, 'b.yar'));
    link('/dev/zero', 'c.yar');
    execFileSync('mkfifo', [join(top, 'not-wanted')]);
    link('/dev/zero', 'nor-this');
    expect(await names()).toEqual([]);
    const told = 'is no regular file: put one in its place, or remove it';
    expect(await problems()).toEqual([
      ['a.yar', told],
      ['c.yar', told],
    ]);
  });

  it('refuses links where it is told to', async () => {
    put('a.yar');
    link('a.yar', 'b.yar');
    const { files, problems } = await walk({ links: 'refuse' });
    expect(files).toHaveLength(1);
    expect(problems).toMatchObject([{ file: join(top, 'b.yar') }]);
  });

  it('names some of many problems, and counts the rest', async () => {
    for (let index = 0; index < TREE_BOUNDS.problems + 7; index++) link('nowhere', `${index}.yar`);
    const { problems } = await walk();
    expect(problems).toHaveLength(TREE_BOUNDS.problems + 1);
    expect(problems.at(-1)).toEqual({ file: top, message: 'and 7 more such places' });
  });

  it('is refused when it nests too deep', async () => {
    mkdirSync(join(top, ...Array.from({ length: TREE_BOUNDS.depth }, () => 'd')), { recursive: true });
    await expect(walk()).rejects.toMatchObject({ code: 'bad-signatures' });
  });

  it('ends when it is asked to', async () => {
    put('a.yar');
    const reason = new Error('interrupted');
    await expect(walk({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('is refused when it is not there', async () => {
    await expect(walkFiles(join(top, 'no'), { wants: () => true })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a file', () => {
  it('is read whole', async () => {
    put('a');
    expect(await readRegularFile(join(top, 'a'), 1, 'rules')).toEqual(Buffer.from('a'));
  });

  it.each([
    ['a FIFO, which would never answer', () => execFileSync('mkfifo', [join(top, 'x')]), 'no regular file'],
    ['a device', () => link('/dev/zero', 'x'), 'no regular file'],
    ['a directory', () => mkdirSync(join(top, 'x')), 'no regular file'],
    ['too large', () => writeFileSync(join(top, 'x'), 'too long'), 'more than 3 bytes'],
    ['not there', () => undefined, 'ENOENT'],
  ])('is refused when it is %s', async (_, make, why) => {
    make();
    await expect(readRegularFile(join(top, 'x'), 3, 'rules')).rejects.toMatchObject({
      code: 'bad-signatures',
      message: expect.stringContaining(why),
    });
  });
});

import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { loadSettings } from './load.ts';
import { defaults } from './schema.ts';

const AS_ROOT = need({ what: 'root', there: process.geteuid?.() === 0, get: 'run the tests as root' });

let directory: string;
const put = async (name: string, text: string) => {
  await writeFile(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};

/** Each key ten times the one before it. */
const multiplied = (keys: string): string =>
  [...keys]
    .slice(1)
    .map((key, before) => `${key}: &${key} [${Array(10).fill(`*${keys[before]}`).join(',')}]`)
    .join('\n');

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lazaret-config-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('where the configuration comes from', () => {
  it('gives the defaults when nothing is configured', async () => {
    expect(await loadSettings({ directory })).toEqual({ settings: defaults(), written: {}, files: [] });
    expect(await loadSettings({ directory: join(directory, 'none') })).toMatchObject({ files: [] });
  });

  it('reads lazaret.yaml, then conf.d in the order of names', async () => {
    const main = await put('lazaret.yaml', 'state: /one\npolicy: {mode: contain}');
    await mkdir(join(directory, 'conf.d'), { mode: 0o700 });
    const second = await put('conf.d/20-b.yaml', 'state: /three');
    const first = await put('conf.d/10-a.yaml', 'state: /two\npolicy: {oneFileSystem: true}');
    await put('conf.d/notes.txt', 'state: /not-read');
    await put('conf.d/.10-a.yaml.swp.yaml', 'state: /not-read');
    const { settings, written, files } = await loadSettings({ directory });
    expect(files).toEqual([main, first, second]);
    expect(written).toEqual({ state: '/three', policy: { mode: 'contain', oneFileSystem: true } });
    expect(settings).toMatchObject({ state: '/three', policy: { mode: 'contain', oneFileSystem: true } });
  });

  it('reads JSON as well, wherever it lies', async () => {
    const file = await put('own.json', '{"state": "/json"}');
    expect((await loadSettings({ file })).settings.state).toBe('/json');
  });

  it('never runs a configuration', async () => {
    const file = await put('lazaret.config.js', 'throw new Error("it ran")');
    await expect(loadSettings({ file })).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a configuration that cannot be read', () => {
  it('must be there when it is named', async () => {
    const file = join(directory, 'missing.yaml');
    await expect(loadSettings({ file })).rejects.toMatchObject({
      code: 'not-found',
      message: `${file}: there is no such file; check what --config names`,
    });
  });

  it('is never taken for an absent one', async () => {
    await mkdir(join(directory, 'lazaret.yaml'));
    await expect(loadSettings({ directory })).rejects.toMatchObject({ code: 'unreadable' });
  });

  it('is refused when two could be meant', async () => {
    await put('lazaret.yaml', 'state: /a');
    await put('lazaret.json', '{}');
    await expect(loadSettings({ directory })).rejects.toThrow(/are both there: keep one of them$/);
  });

  it('is refused when anyone could have written it', async () => {
    const file = await put('lazaret.yaml', 'policy: {mode: delete}');
    await chmod(file, 0o666);
    await expect(loadSettings({ file })).rejects.toMatchObject({
      code: 'unreadable',
      message: `${file}: others than its owner can write it; run: chmod go-w ${file}`,
    });
    await chmod(file, 0o660);
    await expect(loadSettings({ file })).rejects.toThrow(/others than its owner/);
    await chmod(file, 0o644);
    await mkdir(join(directory, 'conf.d'));
    await chmod(join(directory, 'conf.d'), 0o770);
    await expect(loadSettings({ file })).rejects.toThrow(/conf\.d: others than its owner can write it/);
  });

  it('is refused when others could put another in its place', async () => {
    const file = await put('lazaret.yaml', 'policy: {mode: delete}');
    await chmod(directory, 0o770);
    await expect(loadSettings({ file })).rejects.toMatchObject({
      code: 'unreadable',
      message: `${file}: ${directory}, where it lies: others than its owner can write it; run: chmod go-w ${directory}`,
    });
    // As in /tmp: there nobody can replace what is another's.
    await chmod(directory, 0o1777);
    await expect(loadSettings({ file })).resolves.toMatchObject({ files: [file] });
  });

  it('is refused when the place that a link leads to is open to others', async () => {
    const elsewhere = join(directory, 'elsewhere');
    await mkdir(elsewhere, { mode: 0o755 });
    const real = await put('elsewhere/real.yaml', 'state: /linked');
    const file = join(directory, 'lazaret.yaml');
    await symlink(real, file);
    expect((await loadSettings({ file })).settings.state).toBe('/linked');
    await chmod(elsewhere, 0o777);
    await expect(loadSettings({ file })).rejects.toThrow(/elsewhere, where it lies: others/);
  });

  it.runIf(AS_ROOT)('is refused when it, its part or its place is another user’s', async () => {
    const file = await put('lazaret.yaml', 'policy: {mode: delete}');
    await mkdir(join(directory, 'conf.d'), { mode: 0o755 });
    const part = await put('conf.d/10-a.yaml', 'state: /one');
    for (const path of [file, part, join(directory, 'conf.d'), directory]) {
      await chown(path, 65_534, 65_534);
      await expect(loadSettings({ file }), path).rejects.toThrow(/belongs to user 65534, expected root or/);
      await chown(path, 0, 0);
    }
    expect((await loadSettings({ file })).files).toEqual([file, part]);
  });

  it('is no pipe, directory or socket, and none of them is waited for', async () => {
    const file = join(directory, 'lazaret.yaml');
    execFileSync('mkfifo', ['-m', '600', file]);
    // Read as it stands it would be empty: nothing that should be configured would hold.
    await expect(loadSettings({ file })).rejects.toMatchObject({
      code: 'unreadable',
      message: `${file}: it is no regular file: put one in its place, or remove it`,
    });
    await rm(file);
    await put('lazaret.yaml', '{}');
    await mkdir(join(directory, 'conf.d/10-a.yaml'), { recursive: true });
    await expect(loadSettings({ file })).rejects.toThrow(/10-a\.yaml: it is no regular file: put one/);
    await rm(join(directory, 'conf.d'), { recursive: true });
    await put('conf.d', '{}');
    await expect(loadSettings({ file })).rejects.toThrow(/conf\.d: it is no directory: put one/);
  });

  it('is no link that leads nowhere or in a circle, wherever it lies', async () => {
    const main = join(directory, 'lazaret.yaml');
    const broken = (path: string) => `${path}: it is a link that leads nowhere: mend it or remove it`;
    await symlink('nowhere', main);
    // It is not taken for a host on which nothing is configured, nor for a wrong --config.
    await expect(loadSettings({ directory })).rejects.toMatchObject({ message: broken(main) });
    await expect(loadSettings({ file: main })).rejects.toMatchObject({ message: broken(main) });
    await rm(main);
    await put('lazaret.yaml', '{}');
    await mkdir(join(directory, 'conf.d'));
    const part = join(directory, 'conf.d/10-a.yaml');
    await symlink('nowhere', part);
    await expect(loadSettings({ directory })).rejects.toMatchObject({ message: broken(part) });
    await rm(part);
    await symlink('10-a.yaml', part);
    await expect(loadSettings({ directory })).rejects.toThrow(
      /10-a\.yaml: it is a link that leads in a circle/,
    );
    await rm(join(directory, 'conf.d'), { recursive: true });
    await symlink('nowhere', join(directory, 'conf.d'));
    await expect(loadSettings({ directory })).rejects.toThrow(/conf\.d: it is a link that leads nowhere/);
  });

  it('is refused, not read, when it is far too large for one', async () => {
    const file = await put('lazaret.yaml', '{}');
    await truncate(file, 2 ** 33);
    await expect(loadSettings({ file })).rejects.toThrow(/it has 8589934592 bytes, expected at most 4194304/);
  });

  it.each([
    ['aliases that multiply', `a: &a [1,1,1,1,1,1,1,1,1,1]\n${multiplied('abcdefgh')}`],
    ['an alias that lies in itself', 'policy: &p {mode: detect, more: *p}'],
    ['an alias of nothing', 'policy: *nothing'],
    ['nesting without end', `a: ${'['.repeat(20_000)}`],
  ])('tells of %s as of any other fault', async (_, text) => {
    const file = await put('lazaret.yaml', text);
    await mkdir(join(directory, 'conf.d'));
    await put('conf.d/10-a.yaml', text);
    await expect(loadSettings({ file })).rejects.toMatchObject({ code: 'invalid' });
  });
});

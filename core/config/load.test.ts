import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings } from './load.ts';
import { defaults } from './schema.ts';

let directory: string;
const put = async (name: string, text: string) => {
  await writeFile(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};

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
      message: `${file}: anyone can write it; run: chmod o-w ${file}`,
    });
    await chmod(file, 0o644);
    await mkdir(join(directory, 'conf.d'));
    await chmod(join(directory, 'conf.d'), 0o777);
    await expect(loadSettings({ file })).rejects.toThrow(/conf\.d: anyone can write it/);
  });
});

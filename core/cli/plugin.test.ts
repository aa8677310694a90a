/** `lazaret plugin`, with the plugins that there are and packages of third parties. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { catalogueFor, pluginsFor } from '../container.ts';
import { runCommandLine } from './program.ts';

const FIXTURES = join(import.meta.dirname, '../../test/plugins/fixtures');
const fixture = (id: string): string => join(FIXTURES, `lazaret-plugin-${id}`);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-cli-plugin-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function lazaret(args: readonly string[], columns = 200) {
  const text = { out: '', err: '' };
  const output = (to: 'out' | 'err') => ({
    stream: new Writable(),
    write: (written: string) => {
      text[to] += written;
    },
    isTTY: false,
    columns,
  });
  const io = {
    ...{ stdout: output('out'), stderr: output('err'), env: {}, exitCode: -1 },
    onInterrupt: () => () => undefined,
    onHangup: () => () => undefined,
    abort: () => undefined,
  };
  await runCommandLine(args, '1.2.3', {
    io,
    plugins: async (settings) => pluginsFor(settings),
    catalogue: async (settings) => catalogueFor(settings),
    startEngine: () => Promise.reject(new Error('no engine is expected')),
    startHost: () => Promise.reject(new Error('no service is expected')),
  });
  return { code: io.exitCode, ...text };
}

function configure(settings: object): string {
  const file = join(directory, 'lazaret.yaml');
  writeFileSync(file, JSON.stringify({ state: join(directory, 'state'), ...settings }), { mode: 0o600 });
  return file;
}

const lines = (out: string): Record<string, unknown>[] =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('plugin list', () => {
  it('has all plugins: whether they are in use, why not, and where they lie', async () => {
    const config = configure({
      pluginDirectories: [fixture('exit'), join(directory, 'no-such')],
      plugins: { hashset: { enabled: false }, exit: { enabled: true } },
      packs: { starter: false },
    });
    const { out, err, code } = await lazaret(['plugin', 'list', '--config', config]);
    expect(code).toBe(0);
    expect(out).toMatch(/^ID +KIND +VERSION +API +STATE +FROM\n/);
    expect(out).toMatch(/^yara +detector +1\.0\.0 +needs signatures +built in$/m);
    expect(out).toMatch(/^hashset +detector +1\.0\.0 +off +built in$/m);
    expect(out).toMatch(/^contain-file +remediation +1\.0\.0 +in use +built in$/m);
    expect(out).toMatch(/^exit +detector +1\.0\.0 +1 +in use +.*lazaret-plugin-exit$/m);
    expect(out).toMatch(/^\? +\? +\? +refused +.*no-such$/m);
    expect(err).toMatch(/no-such: the plugin directory .* cannot be read/);
    expect(err).not.toContain('hashset');
  });

  it('fits a narrow terminal, and says all as JSON', async () => {
    const config = configure({ pluginDirectories: [fixture('exit')], plugins: { yara: { rules: 5 } } });
    const narrow = await lazaret(['plugin', 'list', '--config', config], 80);
    for (const line of narrow.out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    const { out } = await lazaret(['plugin', 'list', '--json', '--config', config]);
    expect(lines(out)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: 'yara', state: 'bad-options', why: expect.stringContaining('rules') }),
        expect.objectContaining({ id: 'exit', state: 'used', api: 1, directory: fixture('exit') }),
      ]),
    );
  });
});

describe('plugin check', () => {
  it('finds nothing wrong with a plugin that answers', async () => {
    const { out, code } = await lazaret(['plugin', 'check', fixture('exit')]);
    expect(code).toBe(0);
    expect(out.match(/^ok /gm)).toHaveLength(6);
    expect(out).toMatch(/an empty file: clean.*a small text: clean.*the program .*: clean/s);
  });

  it('says of one that lies what it said, and of one that floods how much', async () => {
    const lie = await lazaret(['plugin', 'check', fixture('lie'), '--json']);
    expect(lie.code).toBe(1);
    expect(lines(lie.out)).toContainEqual({
      status: 'fail',
      detail: expect.stringContaining('answer.detections.0.judgement'),
      remedy: expect.any(String),
    });
    const flood = await lazaret(['plugin', 'check', fixture('flood')]);
    expect(flood.code).toBe(1);
    expect(flood.out).toMatch(/14808 findings too many\n +→ /);
    expect(flood.out).toMatch(/warn .*a small text: suspicious, flood-0\n +→ /);
  });

  it('says what a package lacks that is none, or that does not start', async () => {
    const none = await lazaret(['plugin', 'check', directory]);
    expect(none).toMatchObject({ code: 1, out: expect.stringMatching(/^fail .*package\.json/) });
    const broken = join(directory, 'broken');
    cpSync(fixture('exit'), broken, { recursive: true });
    writeFileSync(join(broken, 'index.js'), 'import "node:nothing";');
    const { out, code } = await lazaret(['plugin', 'check', broken]);
    expect(code).toBe(1);
    expect(out).toMatch(/^fail .*it does not start: .*node:nothing/m);
  });

  it('tries it with the options of the configuration', async () => {
    const picky = join(directory, 'picky');
    cpSync(fixture('exit'), picky, { recursive: true });
    const asking = `import plugin from './plain.js';
      const validate = (value) => value.depth === 3 ? { value } : { issues: [{ message: 'expected 3', path: ['depth'] }] };
      export default { ...plugin, options: { '~standard': { version: 1, vendor: 'x', validate } } };`;
    cpSync(join(picky, 'index.js'), join(picky, 'plain.js'));
    writeFileSync(join(picky, 'index.js'), asking);
    const without = await lazaret(['plugin', 'check', picky]);
    expect(without).toMatchObject({
      code: 1,
      out: expect.stringContaining('plugins.exit.depth: expected 3'),
    });
    const config = configure({ plugins: { exit: { depth: 3 } } });
    expect(await lazaret(['plugin', 'check', picky, '--config', config])).toMatchObject({ code: 0 });
  });
});

it('doctor names packages that are refused', async () => {
  const config = configure({ pluginDirectories: [join(directory, 'no-such')] });
  const { out, code } = await lazaret(['doctor', '--json', '--config', config]);
  expect(code).toBe(1);
  expect(lines(out)).toContainEqual({
    name: 'plugins',
    status: 'fail',
    detail: expect.stringContaining('no-such'),
  });
});

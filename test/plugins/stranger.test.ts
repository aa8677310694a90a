/**
 * The example package as a stranger has it: Lazaret and the example come out of tarballs that npm packed, in a
 * directory of their own, and nothing of this checkout is used. No registry is needed: what Lazaret depends on is
 * copied from here.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { need } from '../need.ts';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLE = join(ROOT, 'examples/lazaret-plugin-entropy');
const SLOW = 300_000;
/** Large, and of no use to a plugin: the agent in one file, and what only tests and benchmarks run. */
const LEFT_OUT = ['lazaret-agent', 'test', 'bench'].map((name) => join(ROOT, 'dist', name));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** With nothing of this test's environment but where programs and npm's settings are. */
async function run(command: string, args: readonly string[], cwd: string): Promise<Outcome> {
  const { PATH = '', HOME = '/' } = process.env;
  const env = { PATH: [dirname(process.execPath), PATH].join(delimiter), HOME };
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

/** The tarball that npm makes of the directory. */
async function pack(directory: string, to: string): Promise<string> {
  const { code, out, err } = await run(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', to],
    directory,
  );
  if (code !== 0) throw new Error(`npm pack failed: ${err}`);
  return join(to, JSON.parse(out)[0].filename);
}

async function unpack(tarball: string, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const { code, err } = await run(
    'tar',
    ['-xzf', tarball, '--strip-components=1', '-C', directory],
    directory,
  );
  if (code !== 0) throw new Error(`tar failed: ${err}`);
}

/** What Lazaret depends on, as it is installed here. */
function copyDependencies(to: string): void {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  for (const [path, { dev, optional }] of Object.entries<{ dev?: boolean; optional?: boolean }>(packages)) {
    if (path !== '' && !dev && !optional) cpSync(join(ROOT, path), join(to, path), { recursive: true });
  }
}

/** The modules that the guide shows, and the package.json that its commands make. */
function guideFiles(): Map<string, string> {
  const guide = readFileSync(join(ROOT, 'docs/guides/write-a-detector.md'), 'utf8');
  const modules = guide.matchAll(/^`(?<name>[\w.]+\.js)`:\n\n```js\n(?<code>.*?)^```$/gms);
  const [, wants = ''] = /lazaret\.wants='([^']+)'/.exec(guide) ?? [];
  const described = {
    name: 'lazaret-plugin-webshell',
    version: '1.0.0',
    type: 'module',
    lazaret: { kind: 'detector', api: 1, entry: 'index.js', id: 'webshell', wants: JSON.parse(wants) },
  };
  const files = [...modules].map(({ groups = {} }) => [groups.name ?? '', groups.code ?? ''] as const);
  return new Map([...files, ['package.json', JSON.stringify(described)]]);
}

const possible = need(
  { program: 'npm', get: 'it comes with Node: https://nodejs.org' },
  { program: 'tar', get: 'apt-get install tar' },
  {
    what: 'the project, compiled',
    there: existsSync(join(ROOT, 'dist/testkit/index.js')),
    get: 'npm run build',
  },
);

describe.runIf(possible)('a stranger', () => {
  let work: string;
  let stranger: string;
  let plugins: string;
  const lazaret = (...args: string[]): Promise<Outcome> =>
    run(process.execPath, [join(stranger, 'node_modules/lazaret/dist/core/main.js'), ...args], work);

  beforeAll(async () => {
    work = realpathSync(mkdtempSync(join(tmpdir(), 'lazaret-stranger-')));
    stranger = join(work, 'lazaret-plugin-entropy');
    plugins = join(work, 'plugins');
    const staged = join(work, 'lazaret');
    cpSync(join(ROOT, 'dist'), join(staged, 'dist'), {
      recursive: true,
      filter: (path) => !LEFT_OUT.includes(path),
    });
    for (const name of ['package.json', 'packs']) {
      cpSync(join(ROOT, name), join(staged, name), { recursive: true });
    }
    cpSync(EXAMPLE, stranger, { recursive: true, filter: (path) => !path.endsWith('node_modules') });
    await unpack(await pack(staged, work), join(stranger, 'node_modules/lazaret'));
    copyDependencies(stranger);
    await unpack(await pack(stranger, work), join(plugins, 'node_modules/lazaret-plugin-entropy'));
  }, SLOW);
  afterAll(() => rmSync(work, { recursive: true, force: true }));

  it(
    'runs its tests with npm test, the suite of the test kit among them',
    async () => {
      const { code, out } = await run('npm', ['test'], stranger);
      expect(out).toContain('finds what it is for, in words that fit');
      expect(out).toMatch(/^. fail 0$/m);
      expect(code).toBe(0);
    },
    SLOW,
  );

  it(
    'has types that hold',
    async () => {
      symlinkSync(join(ROOT, 'node_modules/@types'), join(stranger, 'node_modules/@types'));
      const tsc = join(ROOT, 'node_modules/.bin/tsc');
      expect(await run(process.execPath, [tsc, '-p', 'jsconfig.json'], stranger)).toEqual({
        code: 0,
        out: '',
        err: '',
      });
    },
    SLOW,
  );

  it(
    'checks and lists the packed plugin',
    async () => {
      const checked = await lazaret('plugin', 'check', join(plugins, 'node_modules/lazaret-plugin-entropy'));
      expect(checked).toMatchObject({
        code: 0,
        out: expect.stringContaining('lazaret-plugin-entropy 1.0.0'),
      });
      expect(checked.out).toMatch(/^ok .*the program .*: clean/m);
      const config = configure();
      const listed = await lazaret('plugin', 'list', '--config', config);
      expect(listed.out).toMatch(/^entropy +detector +1\.0\.0 +1 +in use +.*lazaret-plugin-entropy$/m);
    },
    SLOW,
  );

  it(
    'finds a packed program in a guest',
    async () => {
      const { elf, noise, code: plain } = await import(pathToFileURL(join(stranger, 'test/images.js')).href);
      const root = join(work, 'guest');
      mkdirSync(root);
      writeFileSync(join(root, 'packed'), elf(noise(100_000)), { mode: 0o755 });
      writeFileSync(join(root, 'plain'), elf(plain(100_000)), { mode: 0o755 });
      writeFileSync(join(root, 'notes.txt'), 'Nothing to see here.\n'.repeat(10));
      const socket = join(work, 'agent.sock');
      using _ = await serve(root, socket);
      const config = configure();
      const scanned = await lazaret('scan', '--socket', socket, '--config', config);
      expect(scanned.out).toMatch(/suspicious +\/packed\n.*entropy: Packed\.HighEntropy/);
      expect(scanned.out).not.toMatch(/\/plain|\/notes/);
      expect(scanned.code).toBe(1);
    },
    SLOW,
  );

  it(
    'gets from the guide a detector that works',
    async () => {
      const directory = join(work, 'lazaret-plugin-webshell');
      mkdirSync(directory);
      symlinkSync(join(stranger, 'node_modules'), join(directory, 'node_modules'));
      for (const [name, content] of guideFiles()) writeFileSync(join(directory, name), content);
      expect(await run(process.execPath, ['--test'], directory)).toMatchObject({
        code: 0,
        out: expect.stringContaining('finds what it is for, in words that fit'),
      });
      const checked = await lazaret('plugin', 'check', directory);
      expect(checked).toMatchObject({ code: 0, out: expect.stringMatching(/a small text: clean/) });
    },
    SLOW,
  );

  function configure(): string {
    const file = join(work, 'lazaret.yaml');
    const spool = join(work, 'spool');
    mkdirSync(spool, { recursive: true });
    const settings = {
      state: join(work, 'state'),
      spool: { directory: spool },
      pluginDirectories: [plugins],
    };
    writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
    return file;
  }

  /** The packed agent, which serves `root` until it is disposed of. */
  async function serve(root: string, socket: string): Promise<Disposable> {
    const agent = join(stranger, 'node_modules/lazaret/dist/agent/main.js');
    const args = ['--listen', `unix:${socket}`, '--root', root, '--state', join(work, 'agent')];
    const child = spawn(process.execPath, [agent, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    const stop = { [Symbol.dispose]: () => void child.kill('SIGKILL') };
    let said = '';
    for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
      said += chunk;
      if (!said.includes('serving ')) continue;
      child.stderr.resume();
      return stop;
    }
    throw new Error(`the agent did not start: ${said}`);
  }
});

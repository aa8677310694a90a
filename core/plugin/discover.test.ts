import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discover } from './discover.ts';
import { thirdParty } from './third-party.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-discover-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function install(name: string, lazaret: object = {}): string {
  const directory = join(root, 'node_modules', name);
  mkdirSync(directory, { recursive: true });
  const whole = { kind: 'detector', api: 1, entry: 'index.js', id: 'one', ...lazaret };
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name, version: '1.2.3', lazaret: whole }));
  writeFileSync(join(directory, 'index.js'), 'process.exit(1); // never run');
  return directory;
}
describe('a plugin directory', () => {
  it('holds packages, scoped ones too, and may be one itself', () => {
    install('lazaret-plugin-one');
    install('@x/lazaret-plugin-two', { id: 'two' });
    install('left-pad');
    const names = ({ packages }: ReturnType<typeof discover>) => packages.map(({ name }) => name).sort();
    expect(names(discover([root]))).toEqual(['@x/lazaret-plugin-two', 'lazaret-plugin-one']);
    expect(names(discover([join(root, 'node_modules/lazaret-plugin-one')]))).toEqual(['lazaret-plugin-one']);
  });

  it('that is missing or that anybody may write is refused as a whole', () => {
    install('lazaret-plugin-one');
    chmodSync(root, 0o777);
    const { packages, refused } = discover([root, join(root, 'no-such')]);
    expect(packages).toEqual([]);
    expect(refused.map(({ error }) => error.code)).toEqual(['bad-package', 'bad-package']);
  });

  it.each(['', 'node_modules', 'node_modules/@x'])('is refused when its group may write %j', (place) => {
    install('@x/lazaret-plugin-two');
    expect(discover([root]).packages).toHaveLength(1);
    chmodSync(join(root, place), 0o775);
    const { packages, refused } = discover([root]);
    expect(packages).toEqual([]);
    expect(refused.map(({ error }) => error.message)).toEqual([expect.stringMatching(/chmod go-w/)]);
  });

  it('whose node_modules is none is refused, and others are looked at all the same', () => {
    install('lazaret-plugin-one');
    const odd = join(root, 'odd');
    mkdirSync(odd);
    writeFileSync(join(odd, 'node_modules'), 'a file');
    const { packages, refused } = discover([odd, root]);
    expect(packages.map(({ name }) => name)).toEqual(['lazaret-plugin-one']);
    expect(refused).toMatchObject([{ directory: odd, error: { code: 'bad-package' } }]);
  });

  it('with one good package and a bad one gives the good one', () => {
    install('lazaret-plugin-one');
    const bad = install('lazaret-plugin-two', { id: 'two', api: 99 });
    const { packages, refused } = discover([root]);
    expect(packages.map(({ name }) => name)).toEqual(['lazaret-plugin-one']);
    expect(refused).toMatchObject([{ directory: bad, error: { code: 'unsupported-api' } }]);
  });

  it('cannot take the id of another plugin', () => {
    install('lazaret-plugin-one', { id: 'yara' });
    const { plugins, refused } = thirdParty([root], ['yara'], [root]);
    expect(plugins).toEqual([]);
    expect(refused[0]?.error.message).toMatch(/another plugin has the id yara/);
  });

  it('gives plugins that say what their packages say', () => {
    install('lazaret-plugin-one', { requires: ['query:files'], signatures: ['yara'] });
    install('@x/lazaret-plugin-one');
    const { plugins, refused } = thirdParty([root], [], [root]);
    expect(plugins).toMatchObject([{ meta: { kind: 'detector', id: 'one', version: '1.2.3', api: 1 } }]);
    expect(refused[0]?.error.message).toMatch(/another plugin has the id one/);
  });
});

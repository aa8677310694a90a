import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discover } from './discover.ts';
import { checkOwner, readPackage } from './manifest.ts';
import { thirdParty } from './third-party.ts';
import { covers, wantsSchema } from './wants.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-manifest-'));
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
const refusal = (directory: string): unknown => {
  try {
    return readPackage(directory);
  } catch (error) {
    return error;
  }
};
const refused = (code: string, about: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(about) });

describe('a package', () => {
  it('is read without being run', () => {
    expect(readPackage(install('lazaret-plugin-one'))).toMatchObject({
      name: 'lazaret-plugin-one',
      version: '1.2.3',
      manifest: { id: 'one', wants: { kinds: ['file'] } },
    });
  });

  it('has another digest when any of its files changes', () => {
    const directory = install('lazaret-plugin-one');
    const before = readPackage(directory).digest;
    expect(readPackage(directory).digest).toBe(before);
    writeFileSync(join(directory, 'rules.txt'), 'more');
    expect(readPackage(directory).digest).not.toBe(before);
  });

  it.each([
    ['another name', 'other', {}, 'bad-package', /package.json/],
    [
      'another kind',
      'lazaret-plugin-one',
      { kind: 'patch' },
      'bad-package',
      /remediations and patches are built in/,
    ],
    ['an unknown key', 'lazaret-plugin-one', { more: 1 }, 'bad-package', /more/],
    [
      'another API',
      'lazaret-plugin-one',
      { api: 2 },
      'unsupported-api',
      /install a release that fits|release of it/,
    ],
    ['an entry that is not there', 'lazaret-plugin-one', { entry: 'no.js' }, 'bad-package', /no\.js/],
    ['an entry outside', 'lazaret-plugin-one', { entry: '../../outside.js' }, 'bad-package', /lies outside/],
  ])('with %s is refused', (_, name, lazaret, code, about) => {
    writeFileSync(join(root, 'outside.js'), '');
    expect(refusal(install(name, lazaret))).toEqual(refused(code, about));
  });

  it('with a link that leads out, or files that anybody may write, is refused', () => {
    const directory = install('lazaret-plugin-one');
    symlinkSync('/etc/passwd', join(directory, 'data'));
    expect(refusal(directory)).toEqual(refused('bad-package', /data leads out/));
    rmSync(join(directory, 'data'));
    chmodSync(join(directory, 'index.js'), 0o666);
    expect(refusal(directory)).toEqual(refused('bad-package', /chmod o-w/));
  });

  it('of somebody else is refused', () => {
    const foreign = { uid: (process.getuid?.() ?? 0) + 4242, mode: 0o755 };
    expect(() => checkOwner('/x', foreign)).toThrow(/belongs to the user/);
    expect(() => checkOwner('/x', { uid: 0, mode: 0o755 })).not.toThrow();
  });
});

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

  it('cannot take the id of another plugin', () => {
    install('lazaret-plugin-one', { id: 'yara' });
    const { plugins, refused } = thirdParty([root], ['yara'], [root]);
    expect(plugins).toEqual([]);
    expect(refused[0]?.error.message).toMatch(/another plugin has the id yara/);
  });
});

it('what is wanted holds as declared, all conditions together', () => {
  const facts = { path: '/usr/bin/x.bin', size: 100, mode: 0o100755, uid: 0, gid: 0, mtime: '0' };
  const wants = (declared: object) => covers(wantsSchema.parse(declared), { kind: 'file', facts });
  expect(wants({})).toBe(true);
  expect(
    wants({ minSize: 100, maxSize: 100, suffixes: ['.bin'], prefixes: ['/usr/'], executable: true }),
  ).toBe(true);
  for (const none of [
    { minSize: 101 },
    { maxSize: 99 },
    { suffixes: ['.js'] },
    { prefixes: ['/opt/'] },
    { executable: false },
    { kinds: ['process'] },
  ]) {
    expect(wants(none)).toBe(false);
  }
  expect(covers(wantsSchema.parse({ kinds: ['process'] }), { kind: 'process' })).toBe(true);
  expect(wantsSchema.safeParse({ minSize: -1 }).success).toBe(false);
});

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPackage } from './manifest.ts';
import { checkOwner } from './package-files.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'lazaret-manifest-')));
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
function describeAs(directory: string, more: object): void {
  const file = join(directory, 'package.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...more }));
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
      manifest: { id: 'one', wants: { kinds: ['file'] }, requires: ['query:files', 'query:content'] },
    });
    const both = install('lazaret-plugin-two', { wants: { kinds: ['process'] } });
    expect(readPackage(both).manifest.requires).toEqual(['query:processes']);
  });

  // A reader that waits would hang this process for good: another one is asked, under a deadline.
  it('is not waited for where its package.json is a pipe', () => {
    const directory = install('lazaret-plugin-one');
    rmSync(join(directory, 'package.json'));
    execFileSync('mkfifo', ['-m', '600', join(directory, 'package.json')]);
    const module = new URL(`./manifest${extname(import.meta.filename)}`, import.meta.url).href;
    const program = `
      const { readPackage } = await import(${JSON.stringify(module)});
      try { readPackage(${JSON.stringify(directory)}); } catch (error) { console.log(error.code, error.message); }`;
    const said = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
      ...{ encoding: 'utf8', timeout: 20_000 },
    });
    expect(said).toMatch(/^bad-package .*package\.json is no regular file: put one in its place/);
  });

  it('has another digest when any of its files changes', () => {
    const directory = install('lazaret-plugin-one');
    const before = readPackage(directory).digest;
    expect(readPackage(directory).digest).toBe(before);
    writeFileSync(join(directory, 'rules.txt'), 'more');
    expect(readPackage(directory).digest).not.toBe(before);
  });

  it('is given up at the first file that is one too many, in whichever directory', () => {
    const directory = install('lazaret-plugin-one');
    mkdirSync(join(directory, 'lib'));
    for (let file = 0; file <= 10_000; file++) writeFileSync(join(directory, 'lib', `${file}`), '');
    // Behind what is one too many: it would be told of instead.
    symlinkSync('/etc', join(directory, 'lib', 'z'));
    expect(refusal(directory)).toEqual(refused('bad-package', /more than 10000 files/));
  });

  it('is refused with more bytes than a package has, without being read', () => {
    const directory = install('lazaret-plugin-one');
    writeFileSync(join(directory, 'model'), '');
    truncateSync(join(directory, 'model'), 2 ** 40);
    expect(refusal(directory)).toEqual(refused('bad-package', /more than 536870912 bytes/));
  });

  it('counts with what it depends on, and with no more of node_modules', () => {
    const directory = install('lazaret-plugin-one');
    const needed = install('left-pad');
    install('is-odd');
    describeAs(directory, { dependencies: { 'left-pad': '1', lazaret: '1', 'not-there': '1' } });
    // As a developer's checkout has it.
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync('/etc', join(directory, 'node_modules', 'linked'));
    const { digest, readable } = readPackage(directory);
    expect(readable).toEqual(
      [directory, needed].flatMap((part) => [join(part, 'index.js'), join(part, 'package.json')]),
    );
    writeFileSync(join(needed, 'index.js'), 'changed');
    expect(readPackage(directory).digest).not.toBe(digest);
    chmodSync(join(needed, 'index.js'), 0o666);
    expect(refusal(directory)).toEqual(refused('bad-package', /chmod go-w/));
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
    symlinkSync('index.js', join(directory, 'data'));
    expect(refusal(directory)).toMatchObject({ name: 'lazaret-plugin-one' });
    chmodSync(join(directory, 'index.js'), 0o666);
    expect(refusal(directory)).toEqual(refused('bad-package', /chmod go-w/));
    chmodSync(join(directory, 'index.js'), 0o644);
    chmodSync(directory, 0o777);
    expect(refusal(directory)).toEqual(refused('bad-package', /chmod go-w/));
  });

  it('of somebody else is refused', () => {
    const foreign = { uid: (process.getuid?.() ?? 0) + 4242, mode: 0o755 };
    expect(() => checkOwner('/x', foreign)).toThrow(/belongs to user 4242/);
    expect(() => checkOwner('/x', { uid: 0, mode: 0o755 })).not.toThrow();
  });
});

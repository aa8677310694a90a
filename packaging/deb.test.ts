/** A small package, built and looked at with dpkg's own tools. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { need } from '../test/need.ts';
import { buildDeb, type DebianPackage } from './deb.ts';
import { file, filesBelow, program, text } from './tree.ts';

const RELEASE = { version: '1.2.3-rc.1', debian: '1.2.3~rc.1', epoch: 1_700_000_000 };
const ready = need({ program: 'dpkg-deb', get: 'a Debian, or apt-get install dpkg' });

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'deb-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const tool = (...args: string[]): string => execFileSync('dpkg-deb', args, { encoding: 'utf8' });

/** The same package from files that lie elsewhere, with another date and mode. */
function example(name: string, mode: number): DebianPackage {
  const source = join(directory, name);
  mkdirSync(join(source, 'scripts'), { recursive: true });
  mkdirSync(join(source, 'data'), { recursive: true });
  for (const letter of ['b', 'a']) writeFileSync(join(source, 'data', letter), letter, { mode });
  writeFileSync(join(source, 'scripts', 'postinst'), '#!/bin/sh\nset -e\n', { mode });
  return {
    name: 'example',
    fields: { Section: 'misc', Depends: 'libc6' },
    description: ['an example', 'One line\nand another.', 'A second paragraph.'],
    entries: [
      ...filesBelow('usr/share/example', join(source, 'data'), () => true),
      file('etc/example.conf', join(source, 'data', 'a')),
      program('usr/bin/example', join(source, 'data', 'b')),
      text('usr/share/doc/example/copyright', 'free\n'),
      { path: 'usr/bin/other', link: 'example' },
    ],
    conffiles: ['etc/example.conf'],
    scripts: join(source, 'scripts'),
  };
}

function build(name: string, mode: number): string {
  const out = join(directory, `${name}-out`);
  mkdirSync(out);
  return buildDeb(example(name, mode), RELEASE, out);
}

describe.runIf(ready)('buildDeb', () => {
  it('makes the same bytes from the same content, whatever its dates and modes', () => {
    const umask = process.umask(0o077);
    const first = build('first', 0o600);
    process.umask(umask);
    const second = build('second', 0o755);
    expect(readFileSync(second).equals(readFileSync(first))).toBe(true);
  });

  it('says what it is', () => {
    const deb = build('one', 0o644);
    expect(deb).toMatch(/example_1\.2\.3~rc\.1_amd64\.deb$/);
    expect(tool('--field', deb, 'Version').trim()).toBe('1.2.3~rc.1');
    expect(tool('--field', deb, 'Description')).toBe(
      'an example\n One line\n and another.\n .\n A second paragraph.\n',
    );
    expect(tool('--info', deb, 'conffiles')).toBe('/etc/example.conf\n');
    expect(tool('--info', deb, 'md5sums')).toContain('0cc175b9c0f1b6a831c399e269772661  etc/example.conf\n');
  });

  it('has everything owned by root, in the order of names, with modes of its own', () => {
    const lines = tool('--contents', build('one', 0o600)).trim().split('\n');
    expect(lines.filter((line) => !line.includes(' root/root '))).toEqual([]);
    expect(lines).toContainEqual(expect.stringMatching(/^-rw-r--r-- .* \.\/etc\/example\.conf$/));
    expect(lines).toContainEqual(expect.stringMatching(/^-rwxr-xr-x .* \.\/usr\/bin\/example$/));
    expect(lines).toContainEqual(expect.stringMatching(/ \.\/usr\/bin\/other -> example$/));
    // dpkg-deb puts links last.
    const names = lines.filter((line) => !line.startsWith('l')).map((line) => line.slice(line.indexOf('./')));
    expect(names).toEqual(names.toSorted());
  });

  it('fails, and leaves nothing, when a file of it is not there', () => {
    const broken = example('broken', 0o644);
    const entries = [...broken.entries, file('usr/share/none', join(directory, 'none'))];
    expect(() => buildDeb({ ...broken, entries }, RELEASE, directory)).toThrow('ENOENT');
    expect(() => readFileSync(join(directory, 'example_1.2.3~rc.1_amd64.deb'))).toThrow('ENOENT');
  });
});

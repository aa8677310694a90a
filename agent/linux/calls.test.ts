import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GuestPath } from '../../protocol/index.ts';
import { TempDirectory } from '../testing/tree.ts';
import {
  link,
  makeDirectory,
  openBeneath,
  pidfdOpen,
  readLink,
  removeDirectory,
  renameExchange,
  renameNoReplace,
  setTimes,
  unlink,
} from './calls.ts';
import { ENTRY, readEntries } from './directory.ts';
import { SystemError } from './error.ts';
import { Root } from './root.ts';
import { FileStatus } from './status.ts';
import { readAttributes, removeAttribute, setAttribute } from './xattr.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const open = (path: string): number => openSync(path, constants.O_RDONLY);

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    return error instanceof SystemError ? error.code : String(error);
  }
  return undefined;
}

describe('opening below a root', () => {
  it('opens a regular file, and says what it is', () => {
    using directory = new TempDirectory();
    writeFileSync(join(directory.path, 'file'), 'content');
    const file = new Root(directory.path).openRegular(GuestPath.of('/file'));
    const { dev, ino } = statSync(join(directory.path, 'file'), { bigint: true });
    expect(file?.status.facts()).toMatchObject({ dev: String(dev), ino: String(ino), size: 7, links: 1 });
    expect(readFileSync(file?.descriptor ?? -1, 'utf8')).toBe('content');
    closeSync(file?.descriptor ?? -1);
  });

  it('follows no link, neither at the end nor on the way', () => {
    using directory = new TempDirectory();
    symlinkSync('/etc', join(directory.path, 'way'));
    symlinkSync('/etc/passwd', join(directory.path, 'end'));
    const root = new Root(directory.path);
    expect(codeOf(() => root.openRegular(GuestPath.of('/way/passwd')))).toBe('ELOOP');
    expect(root.openRegular(GuestPath.of('/end'))).toBeUndefined();
  });

  it('does not lead out of the root by dots', () => {
    using directory = new TempDirectory();
    const root = open(directory.path);
    expect(codeOf(() => openBeneath(root, bytes('../etc'), constants.O_RDONLY))).toBe('EXDEV');
    expect(codeOf(() => openBeneath(root, bytes('/etc'), constants.O_RDONLY))).toBe('EXDEV');
    closeSync(root);
  });

  it('refuses a name with NUL instead of cutting it', () => {
    using directory = new TempDirectory();
    const root = open(directory.path);
    expect(() => makeDirectory(root, bytes('a\0b'), 0o700)).toThrow(RangeError);
    expect(readdirSync(directory.path)).toEqual([]);
    closeSync(root);
  });
});

describe('names', () => {
  it('are renamed without clobbering, exchanged, linked and removed', () => {
    using directory = new TempDirectory();
    const at = (name: string): string => join(directory.path, name);
    writeFileSync(at('a'), 'A');
    writeFileSync(at('b'), 'B');
    const fd = open(directory.path);
    expect(codeOf(() => renameNoReplace(fd, bytes('a'), fd, bytes('b')))).toBe('EEXIST');
    renameExchange(fd, bytes('a'), fd, bytes('b'));
    expect([readFileSync(at('a'), 'utf8'), readFileSync(at('b'), 'utf8')]).toEqual(['B', 'A']);
    renameNoReplace(fd, bytes('a'), fd, bytes('c'));
    expect(codeOf(() => link(fd, bytes('c'), fd, bytes('b')))).toBe('EEXIST');
    link(fd, bytes('c'), fd, bytes('d'));
    unlink(fd, bytes('c'));
    makeDirectory(fd, bytes('e'), 0o700);
    expect(readdirSync(directory.path).sort()).toEqual(['b', 'd', 'e']);
    removeDirectory(fd, bytes('e'));
    expect(codeOf(() => unlink(fd, bytes('e')))).toBe('ENOENT');
    closeSync(fd);
  });

  it('of links tell what they say, as bytes and as long as a path can be', () => {
    using directory = new TempDirectory();
    const long = `/${'x'.repeat(4094)}`;
    for (const [name, target] of [
      ['short', 'usr/lib'],
      ['long', long],
      ['odd', Buffer.from([0xff, 0x0a])],
    ] as const) {
      symlinkSync(target, join(directory.path, name));
    }
    const fd = open(directory.path);
    const read = (name: string) => Buffer.from(readLink(fd, bytes(`${name}\0`)));
    expect([read('short').toString(), read('long').toString()]).toEqual(['usr/lib', long]);
    expect(read('odd')).toEqual(Buffer.from([0xff, 0x0a]));
    writeFileSync(join(directory.path, 'file'), '');
    expect([codeOf(() => read('file')), codeOf(() => read('missing'))]).toEqual(['EINVAL', 'ENOENT']);
    closeSync(fd);
  });

  it('are listed as bytes, more than one buffer of them', () => {
    using directory = new TempDirectory();
    const odd = Buffer.from([0x66, 0xff, 0xfe]);
    writeFileSync(Buffer.concat([bytes(`${directory.path}/`), odd]), '');
    const names = Array.from({ length: 3000 }, (_, index) => `${'n'.repeat(40)}${index}`);
    for (const name of names) mkdirSync(join(directory.path, name));
    const fd = open(directory.path);
    const seen = [...readEntries(fd)].map(({ name, type }) => ({ name: Buffer.from(name), type }));
    closeSync(fd);
    expect(seen).toHaveLength(3001);
    expect(seen.find(({ name }) => name.equals(odd))?.type).toBe(ENTRY.regular);
    expect(seen.filter(({ type }) => type === ENTRY.directory)).toHaveLength(3000);
  });
});

describe('file state', () => {
  it('keeps times to the nanosecond, before 1970 too', () => {
    using directory = new TempDirectory();
    writeFileSync(join(directory.path, 'f'), '');
    const fd = openSync(join(directory.path, 'f'), 'r+');
    setTimes(fd, '1700000000.123456789', '-5.000000001');
    const { atime, mtime } = FileStatus.ofDescriptor(fd);
    closeSync(fd);
    expect([atime, mtime]).toEqual(['1700000000.123456789', '-5.000000001']);
  });

  it('reads and writes extended attributes, empty ones and binary ones', () => {
    using directory = new TempDirectory();
    writeFileSync(join(directory.path, 'f'), '');
    const fd = openSync(join(directory.path, 'f'), 'r+');
    const attributes = [
      { name: bytes('user.empty'), value: Buffer.alloc(0) },
      { name: bytes('user.raw'), value: Buffer.from([0, 255, 10]) },
    ];
    for (const attribute of attributes) setAttribute(fd, attribute);
    expect(readAttributes(fd).sort((a, b) => a.name.compare(b.name))).toEqual(attributes);
    removeAttribute(fd, 'user.raw');
    removeAttribute(fd, 'user.raw');
    expect(readAttributes(fd)).toHaveLength(1);
    closeSync(fd);
  });
});

it('names the error of a failed call', () => {
  expect(codeOf(() => pidfdOpen(0))).toBe('EINVAL');
});

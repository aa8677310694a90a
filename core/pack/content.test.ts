/** Archives and directories that are no packs: none of it may reach a disk, or more memory than is allowed. */
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { constants as zlib, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { type PackContent, readContent, readArchive as readStream } from './content.ts';
import { writeTar } from './tar.ts';

const readArchive = (bytes: Buffer) => readStream(Readable.from([bytes]));

const RULE = 'rule Marker { condition: false }';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-content-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe.runIf(need({ program: 'tar', get: 'apt-get install tar' }))('an archive by GNU tar', () => {
  /** The archive of a directory in which `prepare` has put something, made by `tar` with these arguments. */
  async function made(prepare: (at: string) => void, args: readonly string[]): Promise<PackContent> {
    const at = join(directory, 'tree');
    mkdirSync(at);
    prepare(at);
    const output = join(directory, 'made.tar');
    execFileSync('tar', ['-C', at, '-cf', output, ...args], { stdio: 'ignore' });
    return readArchive(zstdCompressSync(readFileSync(output)));
  }
  const plain = (at: string) => {
    mkdirSync(join(at, 'rules'));
    writeFileSync(join(at, 'rules/a.yar'), RULE);
  };
  const long = `${'n'.repeat(60)}/${'m'.repeat(60)}.yar`;

  it.each([[['--format=gnu']], [['--format=ustar']]])('is read, with %s', async (format) => {
    const content = await made(plain, [...format, '.']);
    expect([...content.keys()]).toEqual(['rules/a.yar']);
    expect(content.get('rules/a.yar')?.toString()).toBe(RULE);
  });

  const withLong = (at: string) => {
    mkdirSync(join(at, dirname(long)));
    writeFileSync(join(at, long), RULE);
  };
  it('is read when a long name fits into ustar', async () => {
    expect([...(await made(withLong, ['--format=ustar', '.'])).keys()]).toEqual([long]);
  });

  it.each<[string, (at: string) => void, string[]]>([
    ['long names of GNU', withLong, ['--format=gnu', '.']],
    ['headers of pax', plain, ['--format=posix', '.']],
  ])('is refused for %s, and told how to be made', async (_, prepare, args) => {
    await expect(made(prepare, args)).rejects.toMatchObject({
      code: 'malformed',
      message: expect.stringContaining('tar --format=ustar'),
    });
  });

  it.each<[string, (at: string) => void, string[]]>([
    ['a symbolic link', (at) => symlinkSync('/etc/passwd', join(at, 'a')), ['.']],
    [
      'a hard link',
      (at) => {
        writeFileSync(join(at, 'a'), 'x');
        linkSync(join(at, 'a'), join(at, 'b'));
      },
      ['.'],
    ],
    ['a FIFO', (at) => execFileSync('mkfifo', [join(at, 'a')]), ['.']],
    ['..', plain, ['-P', '../tree/rules/a.yar']],
    ['an absolute path', plain, ['-P', '/etc/hostname']],
    ['a renamed way out', plain, ['-P', '--transform=s,a.yar,../../a.yar,', 'rules/a.yar']],
    ['a name twice', plain, ['rules/a.yar', './rules/a.yar', '--hard-dereference', 'rules/a.yar']],
    ['a hidden name', (at) => writeFileSync(join(at, '.a'), 'x'), ['.']],
    ['an escape in a name', (at) => writeFileSync(join(at, 'a\x1b[2J'), 'x'), ['.']],
  ])('is refused for %s', async (_, prepare, args) => {
    await expect(made(prepare, ['--format=ustar', ...args])).rejects.toMatchObject({ code: 'malformed' });
  });
});

it('refuses a directory with a device, too deep, or too large, before it is read', async () => {
  const at = join(directory, 'deep');
  mkdirSync(join(at, 'a/'.repeat(20)), { recursive: true });
  await expect(readContent(at)).rejects.toMatchObject({ code: 'malformed' });
  const big = join(directory, 'big');
  mkdirSync(big);
  writeFileSync(join(big, 'a'), '');
  truncateSync(join(big, 'a'), 300 * 1024 * 1024);
  await expect(readContent(big)).rejects.toMatchObject({ code: 'too-large' });
  await expect(readContent(join(big, 'a'))).rejects.toMatchObject({ code: 'too-large' });
  symlinkSync(big, join(directory, 'link'));
  await expect(readContent(join(directory, 'link'))).rejects.toMatchObject({ code: 'unreadable' });
  await expect(readContent('/dev/null')).rejects.toMatchObject({ code: 'malformed' });
});

const tar = (...files: [string, string][]) =>
  writeTar(files.map(([path, text]) => [path, Buffer.from(text)] as const));

it.each([
  ['a path that leads out', tar(['../evil', 'x'])],
  ['an absolute path', tar(['/etc/evil', 'x'])],
  ['a hidden way out', tar(['a/../../evil', 'x'])],
  ['two entries of a name', tar(['a', 'x'], ['a', 'y'])],
  ['a symbolic link', retyped('2')],
  ['a hard link', retyped('1')],
  ['a device', retyped('3')],
  ['a sparse file', retyped('S')],
  ['a pax header', retyped('x')],
  ['a truncated tar', tar(['a', 'x']).subarray(0, 512)],
  ['no end', tar(['a', 'x']).subarray(0, 1024)],
])('refuses an archive with %s', async (_, bytes) => {
  await expect(readArchive(zstdCompressSync(bytes))).rejects.toMatchObject({ code: 'malformed' });
});

it('refuses a truncated archive and one that unpacks to too much', async () => {
  const whole = zstdCompressSync(tar(['a', 'x'.repeat(10_000)]));
  await expect(readArchive(whole.subarray(0, whole.length - 5))).rejects.toMatchObject({ code: 'malformed' });
  const bomb = zstdCompressSync(Buffer.alloc(257 * 1024 * 1024));
  await expect(readArchive(bomb)).rejects.toMatchObject({ code: 'too-large' });
});

it.each([
  ['that lead out', (index: number) => `../../x${index}/`],
  ['in numbers', (index: number) => `d${index}/`],
])('refuses an archive with directories %s', async (_, name) => {
  const headers = Array.from({ length: 50_001 }, (_, index) => tar([name(index), '']).subarray(0, 512));
  for (const header of headers) retype(header, '5');
  const bytes = zstdCompressSync(Buffer.concat([...headers, Buffer.alloc(1024)]));
  await expect(readArchive(bytes)).rejects.toMatchObject({ code: 'malformed' });
});

it('refuses an archive that takes much memory to unpack, however small it is', async () => {
  const params = { [zlib.ZSTD_c_windowLog]: 27, [zlib.ZSTD_c_contentSizeFlag]: 0 };
  const wide = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024), { params });
  await expect(readArchive(wide)).rejects.toMatchObject({ code: 'too-large' });
});

it('passes over what is not wanted, which costs no memory', async () => {
  const large: [string, string][] = Array.from({ length: 100 }, (_, at) => [`f${at}`, 'x'.repeat(1_000_000)]);
  const bytes = zstdCompressSync(tar(...large, ['a', 'y']));
  const content = await readStream(Readable.from([bytes]), ({ path }) => path === 'a');
  expect([...content]).toEqual([['a', Buffer.from('y')]]);
});

function retyped(type: string): Buffer {
  const bytes = Buffer.from(tar(['a', '']));
  retype(bytes, type);
  return bytes;
}

/** Changes what the first entry is. */
function retype(bytes: Buffer, type: string): void {
  bytes.write(type, 156);
  const sum = bytes.subarray(0, 512).reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 32 : byte), 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

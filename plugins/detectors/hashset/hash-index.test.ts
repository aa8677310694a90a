import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silent } from '../../../test/conformance/subjects.ts';
import type { HashIndex } from './hash-index.ts';
import { openIndex } from './index-cache.ts';

const CHILD = fileURLToPath(new URL('./hash-index.child.ts', import.meta.url));
const { signal } = new AbortController();
let directory = '';
let cache = '';
const opened: HashIndex[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-hash-index-'));
  cache = join(directory, 'cache');
});
afterEach(() => {
  for (const index of opened.splice(0)) index.close();
  rmSync(directory, { recursive: true, force: true });
});

async function open(path: string, runLength = 7): Promise<HashIndex> {
  const lists = [{ path, source: 'list', judgement: 'malicious' as const }];
  const index = await openIndex({ lists, cache, logger: silent, signal, runLength });
  opened.push(index);
  return index;
}

function listOf(lines: readonly string[], name = 'list.hsb'): string {
  const path = join(directory, name);
  writeFileSync(path, lines.join('\n'));
  return path;
}

const sha256 = (number: number): string => number.toString(16).padStart(8, '0').repeat(8);
const LINES = Array.from({ length: 100 }, (_, number) => `${sha256(number)}:*:Name${number}`);
const kept = (): string[] => readdirSync(cache).map((name) => join(cache, name));
const only = (): string => {
  const [path = '', ...rest] = kept();
  expect(rest).toEqual([]);
  return path;
};

/** Few hashes with few beginnings and sizes, so that entries meet. */
const entry = fc.record({
  hash: fc
    .tuple(
      fc.constantFrom('00', '7f', 'ffffffffff'),
      fc.integer({ min: 0, max: 9 }),
      fc.constantFrom(64, 40, 32),
    )
    .map(([head, tail, length]) => (head + `${tail}`.padStart(30 - head.length, '0')).padEnd(length, '0')),
  size: fc.option(fc.integer({ min: 0, max: 2 })),
  name: fc.stringMatching(/^[a-z.-]{0,4}[0-9]{0,11}[a-z0-9-]{0,9}$/),
});

it('finds what a map of all entries finds', async () => {
  const property = fc.asyncProperty(fc.array(entry, { maxLength: 200, size: 'max' }), async (entries) => {
    const lines = entries.map(({ hash, size, name }) => `${hash}:${size ?? '*'}:${name}`);
    const index = await open(listOf(lines));
    const expected = new Map<string, string>();
    for (const { hash, size, name } of entries) {
      const key = `${hash} ${size ?? '*'}`;
      if (!expected.has(key)) expected.set(key, name);
    }
    expect(index.contents.count).toBe(expected.size);
    for (const { hash } of [...entries, { hash: '00'.repeat(32) }, { hash: 'f'.repeat(32) }]) {
      const algorithm = hash.length === 64 ? 'sha256' : hash.length === 40 ? 'sha1' : 'md5';
      for (const size of [0, 1, 3, 2 ** 50]) {
        const names = [expected.get(`${hash} ${size}`), expected.get(`${hash} *`)];
        expect(index.find(algorithm, hash, size).map(({ name }) => name)).toEqual(
          names.filter((name) => name !== undefined),
        );
      }
    }
  });
  await fc.assert(property, { numRuns: 60 });
});

it('finds hashes of which thousands begin alike', async () => {
  const alike = Array.from(
    { length: 3_000 },
    (_, number) => `abcdef01${`${number}`.padStart(8, '0').repeat(7)}`,
  );
  const index = await open(listOf([...alike].reverse(), 'alike.txt'), 1_000);
  expect(index.contents.count).toBe(3_000);
  expect(alike.filter((hash) => index.find('sha256', hash, 1).length !== 1)).toEqual([]);
  expect(index.find('sha256', `abcdef01${'f'.repeat(56)}`, 1)).toEqual([]);
});

it('keeps what hashes of another kind say apart, though their beginning is the same', async () => {
  const md5 = 'ab'.repeat(16);
  const index = await open(listOf([`${md5}${'0'.repeat(32)} long`, `${md5} short`], 'kinds.txt'));
  expect(index.find('md5', md5, 1)).toMatchObject([{ name: 'short' }]);
  expect(index.find('sha256', `${md5}${'0'.repeat(32)}`, 1)).toMatchObject([{ name: 'long' }]);
  expect(index.find('sha1', `${md5}00000000`, 1)).toEqual([]);
});

it('is built once', async () => {
  const list = listOf(LINES);
  const first = await open(list);
  const { ino } = statSync(only());
  const second = await open(list);
  expect(statSync(only()).ino).toBe(ino);
  expect(second.contents).toEqual(first.contents);
  expect(second.find('sha256', sha256(42), 1)).toEqual([
    { name: 'Name42', source: 'list', judgement: 'malicious' },
  ]);
});

it('is built anew when a list is added to or replaced', async () => {
  const list = listOf(LINES);
  await open(list);
  listOf([...LINES, `${sha256(1000)}:*:Added`]);
  expect((await open(list)).find('sha256', sha256(1000), 1)).toMatchObject([{ name: 'Added' }]);
  renameSync(listOf([...LINES, `${sha256(1001)}:*:Other`], 'new'), list);
  expect((await open(list)).find('sha256', sha256(1001), 1)).toMatchObject([{ name: 'Other' }]);
});

it('is built anew when a list is written to that then looks as before', async () => {
  const list = listOf([`${sha256(1)}:*:One`]);
  utimesSync(list, 1, 1);
  await open(list);
  const before = statSync(list, { bigint: true });
  do {
    listOf([`${sha256(2)}:*:Two`]);
    utimesSync(list, 1, 1);
  } while (statSync(list, { bigint: true }).ctimeNs === before.ctimeNs);
  expect((await open(list)).find('sha256', sha256(2), 1)).toMatchObject([{ name: 'Two' }]);
});

it.each<[string, (bytes: Buffer) => Buffer]>([
  ['torn at its end', (bytes) => bytes.subarray(0, -1)],
  ['torn in the middle', (bytes) => bytes.subarray(0, bytes.length / 2)],
  ['empty', () => Buffer.alloc(0)],
  ['longer than it was', (bytes) => Buffer.concat([Buffer.alloc(39), bytes])],
  ['changed in its contents', (bytes) => flipped(bytes, bytes.length - 60)],
  ['changed in its trailer', (bytes) => flipped(bytes, bytes.length - 1)],
  ['changed in its fan-out', (bytes) => flipped(bytes, bytes.lastIndexOf('{"key"') - 1)],
  ['something else', () => Buffer.from('a'.repeat(10_000))],
])('is built anew when it is %s', async (_, spoil) => {
  const list = listOf(LINES);
  await open(list);
  const whole = readFileSync(only());
  writeFileSync(only(), spoil(whole));
  expect((await open(list)).find('sha256', sha256(42), 1)).toMatchObject([{ name: 'Name42' }]);
  expect(readFileSync(only()).equals(whole)).toBe(true);
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

it('is built anew when another index lies in its place', async () => {
  const list = listOf(LINES);
  await open(list);
  const own = only();
  const foreign = kept().find((path) => path !== own);
  expect(foreign).toBeUndefined();
  await open(listOf(['ab'.repeat(32)], 'other.txt'));
  copyFileSync(kept().find((path) => path !== own) ?? '', own);
  expect((await open(list)).contents.count).toBe(LINES.length);
});

it('goes on when its cache is emptied', async () => {
  const list = listOf(LINES);
  const index = await open(list);
  rmSync(cache, { recursive: true });
  expect(index.find('sha256', sha256(42), 1)).toMatchObject([{ name: 'Name42' }]);
  expect((await open(list)).contents).toEqual(index.contents);
});

it('is there even when its cache is emptied while it is built', async () => {
  const list = join(directory, 'pipe');
  execFileSync('mkfifo', [list]);
  const opening = open(list);
  const pipe = await openFile(list, 'w');
  rmSync(cache, { recursive: true });
  await pipe.writeFile(LINES.join('\n'));
  await pipe.close();
  expect((await opening).find('sha256', sha256(42), 1)).toMatchObject([{ name: 'Name42' }]);
  expect(existsSync(cache)).toBe(false);
});

it('is built by two processes at the same time', async () => {
  const list = listOf(Array.from({ length: 20_000 }, (_, number) => `${sha256(number)}:*:Name`));
  const children = [1, 2].map(() =>
    spawn(process.execPath, [CHILD, list, cache], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  await Promise.all(children.map(({ stdout }) => once(stdout, 'data')));
  const outputs = children.map(({ stdin, stdout }) => {
    stdin.end('go\n');
    return text(stdout);
  });
  const [one = '', two = ''] = await Promise.all(outputs);
  expect(JSON.parse(one)).toMatchObject({ count: 20_000, algorithms: ['sha256'] });
  expect(two).toBe(one);
  only();
  expect((await open(list)).contents).toEqual(JSON.parse(one));
});

it('keeps the two indexes used last, and removes what killed processes left', async () => {
  await open(listOf(['11'.repeat(32)], 'one.txt'));
  const [one = ''] = kept();
  utimesSync(one, 1, 1);
  const left = join(cache, 'left.part');
  writeFileSync(left, '');
  utimesSync(left, 1, 1);
  writeFileSync(join(cache, 'unfinished.part'), '');
  await open(listOf(['22'.repeat(32)], 'two.txt'));
  await open(listOf(['33'.repeat(32)], 'three.txt'));
  expect(existsSync(one)).toBe(false);
  expect(existsSync(left)).toBe(false);
  expect(kept()).toHaveLength(3);
});

it('says what it needs when it cannot be written', async () => {
  cache = listOf([], 'in-the-way');
  await expect(open(listOf(LINES))).rejects.toMatchObject({ code: 'engine-failed', message: /bytes a hash/ });
});

it('stops when it is told to', async () => {
  const lists = [{ path: listOf(LINES), source: 'list', judgement: 'malicious' as const }];
  const stopped = openIndex({ lists, cache, logger: silent, signal: AbortSignal.abort() });
  await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  expect(kept()).toEqual([]);
});

import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stored, uidsOf } from '../../../test/events/events.ts';
import { DeliveryError } from '../../error.ts';
import { fileOutlet } from './file.ts';
import { RotatedFile, type RotatedFileOptions } from './rotated-file.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-rotated-'));
  path = join(directory, 'log', 'events.ndjson');
});
afterEach(() => rmSync(directory, { recursive: true }));

const NEVER = new AbortController().signal;
const fileWith = (options: Partial<RotatedFileOptions> = {}, clock?: () => number) =>
  new RotatedFile({ path, maxBytes: 1_000, keep: 2, ...options }, clock);
const read = (name = ''): string => readFileSync(path + name, 'utf8');
const names = (): string[] => readdirSync(join(directory, 'log')).sort();

test('the outlet writes one line an event, in their order', async () => {
  const outlet = fileOutlet({ path, maxBytes: 1e6, keep: 1 });
  await outlet.deliver([stored(1), stored(2)], NEVER);
  await outlet.deliver([stored(3)], NEVER);
  expect(uidsOf(read())).toEqual(['uid-1', 'uid-2', 'uid-3']);
  expect(read().endsWith('}\n')).toBe(true);
});

describe('a file', () => {
  test.each([0o600, 0o640])('is made with the mode %o, whatever the umask', async (mode) => {
    const before = process.umask(0o077);
    try {
      await fileWith({ mode }).append(['a\n']);
    } finally {
      process.umask(before);
    }
    expect(statSync(path).mode & 0o777).toBe(mode);
  });

  test('that is full makes way, and the oldest goes', async () => {
    const file = fileWith({ maxBytes: 10 });
    for (const line of ['1111111\n', '2222222\n', '3333333\n', '4444444\n']) await file.append([line]);
    expect([read(), read('.1'), read('.2')]).toEqual(['4444444\n', '3333333\n', '2222222\n']);
    expect(names()).toEqual(['events.ndjson', 'events.ndjson.1', 'events.ndjson.2']);
  });

  test('is filled to the last byte first, and takes more than its size when it is empty', async () => {
    const file = fileWith({ maxBytes: 10, keep: 1 });
    await file.append(['12345\n']);
    await file.append(['123\n']);
    expect(read()).toBe('12345\n123\n');
    await file.append(['larger than ten\n']);
    expect([read(), read('.1')]).toEqual(['larger than ten\n', '12345\n123\n']);
  });

  test('goes without a trace where none is kept', async () => {
    const file = fileWith({ maxBytes: 5, keep: 0 });
    await file.append(['one\n']);
    await file.append(['two\n']);
    expect(read()).toBe('two\n');
    expect(names()).toEqual(['events.ndjson']);
  });

  test('makes way when its day is over, in UTC', async () => {
    let now = Date.UTC(2026, 10, 27, 23, 59, 59);
    const file = fileWith({ daily: true }, () => now);
    const touch = () => utimesSync(path, now / 1000, now / 1000);
    await file.append(['evening\n']);
    touch();
    await file.append(['late\n']);
    touch();
    now += 2_000;
    await file.append(['morning\n']);
    expect([read(), read('.1')]).toEqual(['morning\n', 'evening\nlate\n']);
  });

  test('that somebody moved away is made anew', async () => {
    const file = fileWith();
    await file.append(['one\n']);
    renameSync(path, `${path}.moved`);
    await file.append(['two\n']);
    expect([read('.moved'), read()]).toEqual(['one\n', 'two\n']);
  });

  test.each([
    ['whole\n{"cut', 'whole\n'],
    ['{"cut', ''],
    [`whole\n${'x'.repeat(200_000)}`, 'whole\n'],
    ['', ''],
  ])('a line that a crash cut off gives way to the next: %#', async (torn, kept) => {
    await fileWith({ maxBytes: 1e6 }).append(['']);
    writeFileSync(path, torn);
    await fileWith({ maxBytes: 1e6 }).append(['next\n']);
    expect(read()).toBe(`${kept}next\n`);
  });
});

describe('what cannot be written', () => {
  const failure = (file: RotatedFile) => file.append(['x\n']).catch((error: unknown) => error);

  test('is said with the place', async () => {
    writeFileSync(join(directory, 'log'), 'a file');
    const error = await failure(fileWith());
    expect(error).toBeInstanceOf(DeliveryError);
    expect(error).toMatchObject({ code: 'write-failed', message: expect.stringContaining(path) });
  });

  test('a link is not followed, a device not written to', async () => {
    await fileWith().append(['x\n']);
    const target = join(directory, 'target');
    writeFileSync(target, '');
    const link = join(directory, 'link');
    symlinkSync(target, link);
    expect(await failure(fileWith({ path: link }))).toMatchObject({ code: 'write-failed' });
    expect(readFileSync(target, 'utf8')).toBe('');
    expect(await failure(fileWith({ path: '/dev/null' }))).toMatchObject({
      code: 'write-failed',
      message: expect.stringContaining('no regular file'),
    });
  });

  test('is written later, after what was there', async () => {
    const file = fileWith();
    await file.append(['one\n']);
    appendFileSync(path, 'half');
    await file.append(['two\n']);
    expect(read()).toBe('one\ntwo\n');
  });
});

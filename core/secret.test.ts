import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, inspect } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { need } from '../test/need.ts';
import { SecretError } from './error.ts';
import { Secret } from './secret.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-secret-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const fileWith = (content: string | Buffer): string => {
  const file = join(directory, 'secret');
  writeFileSync(file, content);
  return file;
};

test.each(['hunter2', 'hunter2\n', 'hunter2\r\n'])('a secret is what its file holds: %j', async (content) => {
  expect((await Secret.read({ file: fileWith(content) })).reveal()).toBe('hunter2');
});

test('blanks and line feeds within belong to it', async () => {
  expect((await Secret.read({ file: fileWith(' a\nb \n\n') })).reveal()).toBe(' a\nb \n');
});

test('it shows in no print, log or JSON', () => {
  const secret = new Secret('hunter2');
  const shown = [
    String(secret),
    `${secret}`,
    JSON.stringify({ secret }),
    inspect({ deep: { secret } }, { showHidden: true, depth: 9, customInspect: false }),
    inspect(secret),
    format('%s %o %O %j', secret, secret, secret, secret),
    JSON.stringify(Object.entries(secret)),
  ];
  for (const text of shown) expect(text).not.toContain('hunter2');
  expect(JSON.stringify({ secret })).toBe('{"secret":"[redacted]"}');
});

test.each([
  ['empty', ''],
  ['empty', '\n'],
  ['too-large', Buffer.alloc(65_537, 0x61)],
])('a file is refused as %s', async (code, content) => {
  await expect(Secret.read({ file: fileWith(content) })).rejects.toMatchObject({ code });
});

test('a file that is not there, or a directory, is said with its name', async () => {
  const file = join(directory, 'nothing');
  const failed = await Secret.read({ file }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(SecretError);
  expect(failed).toMatchObject({ code: 'unreadable', message: expect.stringContaining(file) });
  await expect(Secret.read({ file: directory })).rejects.toMatchObject({ code: 'unreadable' });
});

test('a file that others can write, or whose place they can, is not used', async () => {
  const file = fileWith('hunter2');
  const foreign = { code: 'unreadable', message: expect.stringContaining('others than its owner') };
  for (const path of [file, directory]) {
    chmodSync(path, 0o760);
    await expect(Secret.read({ file })).rejects.toMatchObject(foreign);
    chmodSync(path, 0o700);
  }
  expect((await Secret.read({ file })).reveal()).toBe('hunter2');
});

test.runIf(need({ what: 'root', there: process.geteuid?.() === 0, get: 'run the tests as root' }))(
  'a file of another user is not used',
  async () => {
    const file = fileWith('hunter2');
    chownSync(file, 65_534, 65_534);
    await expect(Secret.read({ file })).rejects.toThrow(/belongs to user 65534/);
  },
);

test('a pipe, a directory or a device is not taken for one, and not waited for', async () => {
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  const refused = { code: 'unreadable', message: expect.stringContaining('it is no regular file: write') };
  for (const file of [pipe, directory, '/dev/null'])
    await expect(Secret.read({ file }), file).rejects.toMatchObject(refused);
});

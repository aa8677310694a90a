import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { countSignatures, databaseState } from './databases.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-databases-'));
  writeFileSync(join(directory, 'a.hdb'), `${'a'.repeat(32)}:1:One\n${'b'.repeat(32)}:2:Two\n`);
});
afterEach(() => rmSync(directory, { recursive: true }));

const digest = async (): Promise<string> => (await databaseState(directory, 'canary.hdb')).digest;

it('counts the signatures of the files that clamd loads', async () => {
  writeFileSync(join(directory, 'README'), 'no database\n');
  expect(await countSignatures(directory)).toBe(2);
});

it('is another state with another file, and the same without a change', async () => {
  const before = await digest();
  expect(await digest()).toBe(before);
  writeFileSync(join(directory, 'canary.hdb'), 'left out');
  expect(await digest()).toBe(before);
  writeFileSync(join(directory, 'b.ndb'), 'Name:0:*:00\n');
  expect(await digest()).not.toBe(before);
});

it('waits for no FIFO, and bears links that lead nowhere or in a circle', async () => {
  execFileSync('mkfifo', [join(directory, 'b.hdb')]);
  symlinkSync('nowhere', join(directory, 'c.hdb'));
  symlinkSync('d.hdb', join(directory, 'd.hdb'));
  expect(await countSignatures(directory)).toBe(2);
  expect(await digest()).toMatch(/^[0-9a-f]{64}$/);
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { defaults } from '../config/index.ts';
import { StateDatabase } from '../store/database.ts';
import { checkVault, vaultChecks } from './vault-checkup.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-vault-checkup-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const LIMITS = {
  ...defaults().vault,
  ...{ maxBytes: 1000, maxFiles: 100, keepFree: 50 },
  perVm: { maxBytes: 100, maxFiles: 10, filesPerHour: 10 },
};
const checks = (
  all: { files: number; bytes: number },
  vms: { vm: string; files: number; bytes: number }[],
  free = 500,
) =>
  vaultChecks(
    { stored: () => all, storedByVm: () => vms },
    LIMITS,
    { size: 2000, free },
    (vm) => `${vm}-name`,
  );

it('says how much lies in the vault', () => {
  expect(checks({ files: 3, bytes: 10 }, [{ vm: 'web', files: 3, bytes: 10 }])).toEqual([
    { name: 'vault', status: 'ok', detail: '3 of 100 files, 10 B of 1000 B' },
  ]);
});

it('names the VMs that have no room any more, what is full as a whole, and a disk that is', () => {
  const told = checks(
    { files: 95, bytes: 10 },
    [
      { vm: 'web', files: 1, bytes: 100 },
      { vm: 'db', files: 1, bytes: 1 },
    ],
    49,
  );
  expect(told.map(({ name, status }) => [name, status])).toEqual([
    ['vault', 'warn'],
    ['vault', 'warn'],
    ['vault of web-name', 'warn'],
  ]);
  expect(told[0]).toMatchObject({
    detail: expect.stringContaining('almost full'),
    remedy: expect.stringContaining('purge'),
  });
  expect(told[1]?.detail).toContain('vault.keepFree');
  expect(told[2]?.detail).toContain('nothing is contained any more');
});

it('names ten VMs, and counts the others', () => {
  const many = Array.from({ length: 13 }, (_, at) => ({ vm: `vm-${at}`, files: 10, bytes: 1 }));
  const told = checks({ files: 1, bytes: 1 }, many);
  expect(told).toHaveLength(12);
  expect(told.at(-1)?.detail).toBe('3 more VMs are close to their bounds');
});

it('looks into a state directory that is new, that has a database, and that has none that can be read', async () => {
  const settings = { state: directory, vault: LIMITS };
  expect(await checkVault(settings)).toMatchObject([{ status: 'ok', detail: 'nothing in it yet' }]);
  const database = StateDatabase.open(directory);
  expect((await checkVault(settings))[0]).toMatchObject({
    detail: expect.stringContaining('0 of 100 files'),
  });
  database.run('DROP TABLE vault');
  expect(await checkVault(settings)).toMatchObject([{ name: 'vault', status: 'fail' }]);
  database.close();
});

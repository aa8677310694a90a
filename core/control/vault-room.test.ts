import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256Of } from '../../test/memory-guest.ts';
import { defaults } from '../config/index.ts';
import { StateDatabase } from '../store/database.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { Vault } from './vault.ts';
import { bytesFor, type DiskFacts, type VaultLimits, VaultRoom } from './vault-room.ts';

const HOUR = 3_600_000;
const NOW = 100 * HOUR;

let root: string;
let database: StateDatabase;
let index: VaultIndex;
let limits: VaultLimits;
let disk: () => Promise<DiskFacts>;
let changes: [vm: string, full: boolean][];
let room: VaultRoom;
let vault: Vault;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-vault-room-'));
  database = StateDatabase.open(root);
  index = new VaultIndex(database);
  limits = defaults().vault;
  disk = async () => ({ size: 2 ** 40, free: 2 ** 39 });
  changes = [];
  room = new VaultRoom({
    ...{ directory: root, index, limits: () => limits, disk: () => disk() },
    onChange: (vm, why) => changes.push([vm, why !== undefined]),
  });
  vault = new Vault(root, index, room);
});
afterEach(() => {
  database.close();
  rmSync(root, { recursive: true, force: true });
});

const contain = async (vm = 'web', bytes = 10, at = NOW) => {
  const content = Buffer.alloc(bytes, 'x');
  const file = join(root, `content-${randomUUID()}`);
  writeFileSync(file, content);
  const id = randomUUID() as string;
  const action = randomUUID() as string;
  await vault.hold(file, { id, vm, action, path: '/x', sha256: sha256Of(content), size: bytes, at });
  return id;
};
const settled = (id: string) => index.save({ ...index.get(id), status: 'held' });
const full = (key: string) =>
  expect.objectContaining({ code: 'vault-full', message: expect.stringContaining(key) });

describe('a VM', () => {
  test('has so many files in the vault, and the others go on', async () => {
    limits = { ...limits, perVm: { ...limits.perVm, maxFiles: 2 } };
    await contain();
    await contain();
    const refused = contain();
    await expect(refused).rejects.toThrow(full('vault.perVm.maxFiles'));
    await expect(refused).rejects.toThrow(/lazaret quarantine purge/);
    expect(readdirSync(join(root, 'vault'))).toHaveLength(2);
    expect(index.list()).toHaveLength(2);
    await contain('db');
  });

  test('has so many bytes, also where they only arrive, or are back in the guest', async () => {
    limits = { ...limits, perVm: { ...limits.perVm, maxBytes: 30 } };
    await contain('web', 10);
    const back = await contain('web', 10);
    index.save({ ...index.get(back), status: 'restored' });
    await expect(contain('web', 11)).rejects.toThrow(full('vault.perVm.maxBytes'));
    await contain('web', 10);
  });

  test('is told of once when it is full, and once when room was made by a purge', async () => {
    limits = { ...limits, perVm: { ...limits.perVm, maxFiles: 1 } };
    const first = await contain();
    for (let times = 0; times < 3; times++) await expect(contain()).rejects.toThrow();
    settled(first);
    await vault.purge(first);
    await contain();
    expect(changes).toEqual([
      ['web', true],
      ['web', false],
    ]);
    expect(room.refused).toBe(3);
  });

  test('that fills it fast is slowed, and goes on when an hour has passed, or the clock was set back', async () => {
    limits = { ...limits, perVm: { ...limits.perVm, filesPerHour: 2 } };
    const [first] = [await contain(), await contain()];
    settled(first);
    await vault.purge(first);
    await expect(contain()).rejects.toThrow(full('vault.perVm.filesPerHour'));
    await contain('web', 1, NOW + HOUR);
    await contain('web', 1, NOW - 2 * HOUR);
  });
});

describe('all VMs together', () => {
  test('have so many files and bytes', async () => {
    limits = { ...limits, maxFiles: 2, maxBytes: 25, perVm: { ...limits.perVm, maxBytes: 25 } };
    await contain('a', 10);
    await expect(contain('b', 16)).rejects.toThrow(full('vault.maxBytes'));
    await contain('b', 10);
    await expect(contain('c', 1)).rejects.toThrow(full('vault.maxFiles'));
  });

  test('leave free space to the database, counting what is being written', async () => {
    disk = async () => ({ size: 1000, free: 100 });
    limits = { ...limits, keepFree: 70 };
    await expect(contain('a', 31)).rejects.toThrow(full('vault.keepFree'));
    const place = await room.take({ vm: 'a', size: 20, at: NOW }, () => undefined);
    await expect(contain('b', 11)).rejects.toThrow(full('vault.keepFree'));
    place[Symbol.dispose]();
    await contain('b', 11);
  });
});

test('a file system that cannot be asked lets nothing in, and is no full vault', async () => {
  disk = () =>
    Promise.reject(Object.assign(new Error('from the system'), { code: 'EIO', syscall: 'statfs' }));
  await expect(contain()).rejects.toThrow(expect.objectContaining({ code: 'write-failed' }));
  expect(changes).toEqual([]);
});

test('whatever is asked for at once, the bounds hold, and what is counted is what lies there', async () => {
  const asked = fc.array(
    fc.record({ vm: fc.constantFrom('a', 'b', 'c'), size: fc.integer({ min: 0, max: 40 }) }),
  );
  await fc.assert(
    fc.asyncProperty(asked, async (all) => {
      database.run('DELETE FROM vault');
      limits = {
        ...limits,
        maxFiles: 6,
        maxBytes: 100,
        perVm: { ...limits.perVm, maxFiles: 3, maxBytes: 60 },
      };
      await Promise.allSettled(all.map(({ vm, size }) => contain(vm, size)));
      const lying = index.list();
      expect(index.stored()).toEqual({
        files: lying.length,
        bytes: lying.reduce((sum, { size }) => sum + size, 0),
      });
      expect(index.stored().files).toBeLessThanOrEqual(6);
      expect(index.stored().bytes).toBeLessThanOrEqual(100);
      for (const { files, bytes } of index.storedByVm()) {
        expect(files).toBeLessThanOrEqual(3);
        expect(bytes).toBeLessThanOrEqual(60);
      }
    }),
    { numRuns: 30 },
  );
});

test('bounds in bytes go by the file system unless they are configured', () => {
  const size = 80;
  expect(bytesFor(defaults().vault, { size })).toEqual({ all: 40, vm: 10 });
  expect(bytesFor({ ...defaults().vault, maxBytes: 8 }, { size })).toEqual({ all: 8, vm: 2 });
});

test('what is counted is read from indexes alone', () => {
  const plan = (sql: string) =>
    database
      .all(`EXPLAIN QUERY PLAN ${sql}`)
      .map(({ detail }) => String(detail))
      .join();
  const stored = `SELECT count(*) AS files, coalesce(sum(size), 0) AS bytes FROM vault WHERE status <> 'purged'`;
  expect(plan(stored)).toMatch(/COVERING INDEX vaultStored/);
  expect(plan(`${stored} AND vm = 'v'`)).toMatch(/SEARCH .* COVERING INDEX vaultStored/);
});

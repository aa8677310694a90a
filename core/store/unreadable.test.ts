/** Rows that no schema takes: each costs itself, in every table, however it came to be. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { finding as findingRecord, vm as vmRecord } from '../../test/records.ts';
import { ActionJournal } from './action-journal.ts';
import { StateDatabase } from './database.ts';
import { EnrolmentStore } from './enrolments.ts';
import { FindingStore } from './findings.ts';
import { KnownContentStore } from './known-contents.ts';
import { KnownLineStore } from './known-lines.ts';
import { type LeftOutRow, MOST_LEFT_OUT } from './left-out.ts';
import { PackStore } from './packs.ts';
import { PatchStore } from './patches.ts';
import { ScanStore } from './scans.ts';
import { unreadableRows } from './unreadable.ts';
import { VaultIndex } from './vault-index.ts';
import { VmStore } from './vms.ts';

let directory: string;
let database: StateDatabase;
let told: LeftOutRow[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-store-'));
  database = StateDatabase.open(directory);
  told = [];
  database.onLeftOut = (row) => told.push(row);
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

const SHA = 'a'.repeat(64);
const login = () => vmRecord().login;
const summary = {
  ...{ files: 3, bytes: 9, unchanged: 0, claimed: 0, processes: 1, malicious: 1, suspicious: 0 },
  unscanned: { grew: 1 },
};
const scan = (id: string, startedAt = 10) =>
  ({ id, vm: 'v', mode: 'detect', dryRun: false, trigger: 'manual', startedAt }) as const;
const version = {
  ...{ serial: 1, version: '1', digest: SHA, signatures: 1 },
  expires: '2030-01-01T00:00:00Z',
};

/** For each table: two rows, and the list of what can be read of them. */
const TABLES: Record<string, { write: (n: number) => void; list: () => readonly unknown[] }> = {
  vms: {
    write: (n) => new VmStore(database).save({ ...vmRecord(), id: `v${n}` }),
    list: () => new VmStore(database).list(),
  },
  scans: {
    write: (n) => void new ScanStore(database).begin(scan(`s${n}`)),
    list: () => new ScanStore(database).list(),
  },
  findings: {
    write: (n) => void new FindingStore(database).upsert({ ...findingRecord(), id: `f${n}` }),
    list: () => new FindingStore(database).list(),
  },
  actions: {
    write: () =>
      new ActionJournal(database).intent({
        ...{ id: randomUUID(), vm: 'v', instructionSet: 'set', epoch: 1, expires: 1, intentAt: 1 },
        instruction: { name: 'delete:file', target: { path: '/x', dev: '1', ino: '1', sha256: SHA } },
      }),
    list: () => new ActionJournal(database).list(),
  },
  vault: {
    write: (n) =>
      new VaultIndex(database).save({
        ...{ id: randomUUID(), vm: 'v', action: `a${n}`, path: '/x', sha256: SHA, size: 1 },
        ...{ status: 'held', at: 1 },
      }),
    list: () => new VaultIndex(database).list(),
  },
  patches: {
    write: (n) =>
      new PatchStore(database).add({
        ...{ id: `p${n}`, vm: 'v', patch: 'x', title: 'x', state: 'applied' },
        ...{ reasons: [], actions: [], at: 1 },
      }),
    list: () => new PatchStore(database).list(),
  },
  packs: {
    write: (n) =>
      new PackStore(database).save(
        { vendor: 'acme', id: `p${n}`, active: version, highestSerial: 1, changedAt: 1 },
        'installed',
      ),
    list: () => new PackStore(database).list(),
  },
  enrolmentTokens: {
    write: (n) =>
      new EnrolmentStore(database).addToken({
        ...{ vm: `v${n}`, key: Buffer.alloc(32, n), createdAt: Date.now(), expires: Date.now() + 1e6 },
      }),
    list: () => new EnrolmentStore(database).tokensOfOthers('other'),
  },
  pendingGuests: {
    write: (n) =>
      new EnrolmentStore(database).addPending({
        ...{ vm: `v${n}`, agentKey: SHA, name: 'x', socket: '/x', login: login(), reason: 'r', lastSeen: 1 },
      }),
    list: () => new EnrolmentStore(database).pending(),
  },
};

type Damage = [column: string, value: string | bigint];
const READ_BY_A_SCHEMA = new Set([
  ...['login', 'subject', 'instruction', 'path', 'reasons', 'active', 'state', 'status', 'mode'],
]);

const columnsOf = (table: string) =>
  database
    .all(`SELECT name, type FROM pragma_table_info('${table}')`)
    .map(({ name, type }) => ({ name: String(name), type: String(type) }));

describe.each(Object.entries(TABLES))('in %s', (table, { write, list }) => {
  test('a row with an integer past 2^53, or text that is not what it should be, costs itself', () => {
    write(1);
    const [kept] = list();
    write(2);
    const first = database.get(`SELECT min(rowid) AS first FROM ${table}`)?.first as number;
    const damage = columnsOf(table).flatMap(({ name, type }): Damage[] => {
      if (type === 'INTEGER' && name !== 'id') return [[name, 2n ** 63n - 1n]];
      return READ_BY_A_SCHEMA.has(name) ? [[name, '{"of":"a newer release"']] : [];
    });
    expect(damage.length).toBeGreaterThan(0);
    const before = database.all(`SELECT * FROM ${table} WHERE rowid > :first`, { first });
    for (const [column, value] of damage) {
      database.run(`UPDATE ${table} SET ${column} = :value WHERE rowid > :first`, { value, first });
      expect(list(), column).toEqual([kept]);
      expect(Array.from(unreadableRows(database)), column).toMatchObject([{ table }]);
      const good = before[0]?.[column] as string;
      database.run(`UPDATE ${table} SET ${column} = :good WHERE rowid > :first`, { good, first });
    }
    expect(list()).toHaveLength(2);
    expect(Array.from(unreadableRows(database))).toEqual([]);
    // Told of once, whatever was wrong and however often it was met.
    expect(told).toMatchObject([{ table }]);
  });
});

describe('the database of a release that added up without end', () => {
  const damage = () => {
    const scans = new ScanStore(database);
    for (const id of ['s1', 's2', 's3']) scans.begin(scan(id, Number(id[1])));
    scans.finish('s1', { state: 'finished', finishedAt: 20, summary });
    scans.finish('s2', { state: 'finished', finishedAt: 20, summary });
    const bytes = (2 ** 53 - 1) * 2;
    const text = JSON.stringify({ ...summary, bytes });
    expect(text).toContain('18014398509481982');
    database.run("UPDATE scans SET summary = :text WHERE id = 's2'", { text });
    return scans;
  };

  test('opens, is listed, and says "at least so many"', () => {
    damage();
    database.close();
    database = StateDatabase.open(directory);
    const scans = new ScanStore(database);
    expect(scans.list().map(({ id }) => id)).toEqual(['s3', 's2', 's1']);
    expect(scans.get('s2').summary).toEqual({ ...summary, bytes: Number.MAX_SAFE_INTEGER });
    expect(scans.lastOf('v')?.id).toBe('s2');
    expect(Array.from(unreadableRows(database))).toEqual([]);
  });

  test('is paged and asked for the last scan around a row that is beyond help', () => {
    const scans = damage();
    database.run(`UPDATE scans SET summary = '{' WHERE id = 's2'`);
    expect(scans.lastOf('v')?.id).toBe('s1');
    const first = scans.page({}, { limit: 1 });
    expect(first.items.map(({ id }) => id)).toEqual(['s3']);
    const second = scans.page({}, { limit: 1, before: first.next ?? '' });
    expect(second.items.map(({ id }) => id)).toEqual(['s1']);
    expect(second).not.toHaveProperty('next');
    database.run('UPDATE scans SET startedAt = 9223372036854775807');
    expect(scans.page({}, { limit: 1 })).toEqual({ items: [] });
    expect(() => scans.get('s2')).toThrow(expect.objectContaining({ code: 'corrupt' }));
    expect(scans.readable('s2')).toBeUndefined();
  });

  test('takes no counter that is none, and saturates every other', () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** 53, noNaN: true, noDefaultInfinity: true }), (bytes) => {
        database.run('DELETE FROM scans');
        const scans = new ScanStore(database);
        scans.begin(scan('s1'));
        const kept = scans.finish('s1', {
          state: 'finished',
          finishedAt: 20,
          summary: { ...summary, bytes },
        });
        expect(kept.summary?.bytes).toBe(Number.MAX_SAFE_INTEGER);
        expect(scans.list()).toHaveLength(1);
      }),
      { numRuns: 20 },
    );
    const scans = new ScanStore(database);
    scans.begin(scan('s9'));
    for (const bytes of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() =>
        scans.finish('s9', { state: 'finished', finishedAt: 20, summary: { ...summary, bytes } }),
      ).toThrow(expect.objectContaining({ code: 'unfit' }));
    expect(scans.get('s9').state).toBe('running');
  });
});

describe('what is not kept', () => {
  const unfit = expect.objectContaining({ code: 'unfit' });

  test('is what could not be read again', () => {
    const { write } = TABLES.findings ?? expect.unreachable();
    write(1);
    const findings = new FindingStore(database);
    expect(() => findings.upsert({ ...findingRecord(), id: 'f1', lastSeen: 2 ** 53 })).toThrow(unfit);
    expect(() => findings.setResponse('f1', 'frozen' as never)).toThrow(unfit);
    expect(findings.find('f1')).toEqual({ ...findingRecord(), id: 'f1' });
    expect(() => new VmStore(database).save({ ...vmRecord(), epoch: -1 })).toThrow(unfit);
    expect(() => new ScanStore(database).begin({ ...scan('s'), startedAt: 0.5 })).toThrow(unfit);
    expect(database.all('SELECT id FROM vms UNION SELECT id FROM scans')).toEqual([]);
  });
});

describe('what is known of contents and listings', () => {
  test('is not known where its row cannot be read, and is written anew', () => {
    const contents = new KnownContentStore(database, 100);
    const content = { digests: { sha256: SHA }, size: 1, head: Buffer.from('x'), answers: new Set<string>() };
    contents.save([content]);
    database.run('UPDATE knownContents SET size = -1');
    expect(contents.find([SHA]).size).toBe(0);
    contents.save([content]);
    expect(contents.find([SHA]).get(SHA)?.size).toBe(1);
  });

  test('holds lines whose files are as large as files can be', () => {
    const lines = new KnownLineStore(database, 100);
    const guest = lines.begin('v', 1);
    const [directoryKey, digest, generation] = [1, 2, 3].map((n) => Buffer.alloc(16, n)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    const line = {
      ...{ directory: directoryKey, digest, generation, files: 2, bytes: (2 ** 53 - 1) * 2 },
      ...{ claimed: false, shareable: true, entries: Buffer.alloc(0) },
    };
    lines.save([{ guest, line }]);
    expect(Array.from(lines.ofGeneration(guest, generation, true))).toMatchObject([
      { files: 2, bytes: Number.MAX_SAFE_INTEGER },
    ]);
    // As an earlier release wrote it.
    database.run('UPDATE knownLines SET bytes = 18014398509481982');
    expect(Array.from(lines.ofGeneration(guest, generation, true))).toEqual([]);
  });

  test('adds up what is in quarantine, however much that is said to be', () => {
    for (let n = 0; n < 3; n++) TABLES.vault?.write(n);
    database.run('UPDATE vault SET size = 9223372036854775807');
    const index = new VaultIndex(database);
    // What no file can have counts as nothing, so that one damaged row does not fill the vault.
    expect(index.held()).toEqual({ held: 3, bytes: 0 });
    expect(index.stored()).toEqual({ files: 3, bytes: 0 });
    expect(index.storedByVm()).toEqual([{ vm: expect.any(String), files: 3, bytes: 0 }]);
    database.run('UPDATE vault SET size = 9007199254740991');
    database.run('UPDATE vault SET size = -9 WHERE id = (SELECT min(id) FROM vault)');
    expect(index.held()).toEqual({ held: 3, bytes: Number.MAX_SAFE_INTEGER });
    expect(index.stored()).toEqual({ files: 3, bytes: Number.MAX_SAFE_INTEGER });
    expect(index.storedByVm()).toMatchObject([{ files: 3, bytes: Number.MAX_SAFE_INTEGER }]);
  });

  test('makes room for lines whatever numbers stand beside them', () => {
    const lines = new KnownLineStore(database, 100);
    const [first] = ['a', 'b', 'c'].map((vm) => lines.begin(vm, 1));
    database.run('UPDATE knownGuests SET files = 9223372036854775807');
    lines.begin('d', 2);
    expect(lines.begin('a', 3)).toBe(first);
    database.run('UPDATE knownGuests SET files = 9007199254740991');
    lines.begin('d', 4);
    expect(lines.begin('a', 5)).not.toBe(first);
  });
});

test('so many rows are told of, and one more', () => {
  for (let n = 0; n < MOST_LEFT_OUT + 10; n++)
    database.leaveOut({ table: 'scans', key: `${n}`, reason: 'it is odd' });
  expect(told).toHaveLength(MOST_LEFT_OUT + 1);
  expect(told.at(-1)?.reason).toContain('not told of');
  const again: LeftOutRow[] = [];
  database.onLeftOut = (row) => again.push(row);
  expect(again).toHaveLength(MOST_LEFT_OUT);
});

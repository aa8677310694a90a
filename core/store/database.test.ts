import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StateDatabase } from './database.ts';
import { EnrolmentStore } from './enrolments.ts';
import { MIGRATIONS } from './migrations.ts';
import { VmStore } from './vms.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const codeOf = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'nothing was thrown';
};

describe('opening', () => {
  test('creates a private directory and database, and finds them again', () => {
    const state = join(directory, 'a', 'state');
    const first = StateDatabase.open(state);
    first.run("INSERT INTO scans (id, vm, mode, startedAt, state) VALUES ('s', 'v', 'detect', 1, 'running')");
    expect(statSync(state).mode & 0o777).toBe(0o700);
    for (const name of ['lazaret.db', 'lazaret.db-wal', 'lazaret.pid']) {
      expect(statSync(join(state, name)).mode & 0o077, name).toBe(0);
    }
    first.close();
    const second = StateDatabase.open(state);
    expect(second.get('SELECT id FROM scans')).toEqual({ id: 's' });
    expect(second.get('PRAGMA journal_mode')).toEqual({ journal_mode: 'wal' });
    expect(second.get('PRAGMA synchronous')).toEqual({ synchronous: 2 });
    second.close();
  });

  test('is refused to a second one, which learns who holds it', () => {
    const first = StateDatabase.open(directory);
    expect(() => StateDatabase.open(directory)).toThrow(
      expect.objectContaining({ code: 'in-use', message: expect.stringContaining(`pid ${process.pid}`) }),
    );
    first.close();
    StateDatabase.open(directory).close();
  });

  test('is refused while another process holds it, and granted when that was killed', async () => {
    const program = new URL('./database.ts', import.meta.url).href;
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `const { StateDatabase } = await import(${JSON.stringify(program)});
         globalThis.held = StateDatabase.open(process.argv[1]);
         process.stdout.write('held');
         process.stdin.resume();`,
        directory,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const exited = once(holder, 'exit');
    await once(holder.stdout, 'data');
    expect(() => StateDatabase.open(directory)).toThrow(
      expect.objectContaining({ code: 'in-use', message: expect.stringContaining(`pid ${holder.pid}`) }),
    );
    holder.kill('SIGKILL');
    await exited;
    StateDatabase.open(directory).close();
  });

  test('refuses a directory that others may write to', () => {
    chmodSync(directory, 0o770);
    expect(codeOf(() => StateDatabase.open(directory))).toBe('not-private');
  });

  test('refuses a place that cannot be a directory', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(codeOf(() => StateDatabase.open(join(directory, 'file', 'state')))).toBe('not-writable');
  });

  test('refuses a database of a newer release and leaves it alone', () => {
    const newer = new DatabaseSync(join(directory, 'lazaret.db'));
    newer.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    newer.close();
    expect(codeOf(() => StateDatabase.open(directory))).toBe('newer-version');
    expect(codeOf(() => StateDatabase.read(directory))).toBe('newer-version');
  });

  test('brings a database of the release before enrolment up to date, and keeps what it has', () => {
    const older = new DatabaseSync(join(directory, 'lazaret.db'));
    older.exec(`${MIGRATIONS.slice(0, 3).join(';')}; PRAGMA user_version = 3`);
    const login = {
      type: 'login',
      protocol: [1],
      agent: { id: randomUUID(), version: '0' },
      bootId: randomUUID(),
    };
    older
      .prepare(`INSERT INTO vms (id, name, socket, agentKey, login, epoch, enrolledAt, lastSeen)
                VALUES ('v', 'web', '/run/web.sock', ?, ?, 7, 1, 2)`)
      .run('a'.repeat(64), JSON.stringify(login));
    older.close();
    const database = StateDatabase.open(directory);
    const vms = new VmStore(database);
    const kept = { id: 'v', name: 'web', socket: '/run/web.sock', agentKey: 'a'.repeat(64), login };
    expect(vms.list()).toStrictEqual([{ ...kept, epoch: 7, enrolledAt: 1, lastSeen: 2 }]);
    expect(vms.suspend('v', { at: 3, reason: 'a clone' })).toBe(true);
    expect(new EnrolmentStore(database).pending()).toEqual([]);
    database.close();
  });

  test('refuses what is no database, and one whose pages are damaged', () => {
    const path = join(directory, 'lazaret.db');
    writeFileSync(path, 'x'.repeat(8192), { mode: 0o600 });
    expect(codeOf(() => StateDatabase.open(directory))).toBe('corrupt');
    rmSync(path);
    StateDatabase.open(directory).close();
    const size = statSync(path).size;
    writeFileSync(path, Buffer.alloc(size - 4096, 0xff), { flag: 'r+' });
    writeFileSync(path, 'SQLite format 3\0', { flag: 'r+' });
    expect(codeOf(() => StateDatabase.open(directory))).toBe('corrupt');
  });
});

describe('reading', () => {
  test('works while another one writes, and sees what was committed', () => {
    const writer = StateDatabase.open(directory);
    const reader = StateDatabase.read(directory);
    writer.run(
      "INSERT INTO scans (id, vm, mode, startedAt, state) VALUES ('s', 'v', 'detect', 1, 'running')",
    );
    expect(reader.all('SELECT id FROM scans')).toEqual([{ id: 's' }]);
    expect(codeOf(() => reader.run('DELETE FROM scans'))).toBe('not-writable');
    reader.close();
    writer.close();
  });

  test('says so when there is nothing yet, and creates nothing', () => {
    const state = join(directory, 'none');
    expect(codeOf(() => StateDatabase.read(state))).toBe('not-found');
    expect(statSync(state, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('brings a database without tables up to date first', () => {
    mkdirSync(directory, { recursive: true });
    new DatabaseSync(join(directory, 'lazaret.db')).close();
    const reader = StateDatabase.read(directory);
    expect(reader.all('SELECT id FROM scans')).toEqual([]);
    reader.close();
  });
});

describe('a transaction', () => {
  const insert =
    "INSERT INTO scans (id, vm, mode, startedAt, state) VALUES (:id, :vm, 'detect', 1, 'running')";

  test('keeps all or nothing, also around another', () => {
    const database = StateDatabase.open(directory);
    expect(() =>
      database.transaction(() => {
        database.run(insert, { id: 'a', vm: 'v' });
        database.transaction(() => database.run(insert, { id: 'b', vm: 'v' }));
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(database.all('SELECT id FROM scans')).toEqual([]);
    database.transaction(() => database.run(insert, { id: 'c', vm: 'v' }));
    expect(database.all('SELECT id FROM scans')).toEqual([{ id: 'c' }]);
    database.close();
  });

  test('on a full disk is refused whole, and the database stays usable', () => {
    const database = StateDatabase.open(directory);
    const pages = Number(database.get('PRAGMA page_count')?.page_count);
    database.get(`PRAGMA max_page_count = ${pages + 4}`);
    const fill = () =>
      database.transaction(() => {
        for (let n = 0; n < 100; n++) database.run(insert, { id: `${n}`, vm: 'v'.repeat(4000) });
      });
    expect(codeOf(fill)).toBe('write-failed');
    expect(database.all('SELECT id FROM scans')).toEqual([]);
    database.run(insert, { id: 'small', vm: 'v' });
    expect(database.all('SELECT id FROM scans')).toEqual([{ id: 'small' }]);
    database.close();
  });
});

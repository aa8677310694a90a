import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ActionJournal, type Intent } from './action-journal.ts';
import { AuditLog } from './audit.ts';
import { type Row, StateDatabase } from './database.ts';

let directory: string;
let database: StateDatabase;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-journal-'));
  database = StateDatabase.open(directory);
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

const corrupt = expect.objectContaining({ code: 'corrupt' });
const done = { code: 'done' as const };

const intent = (over: Partial<Intent> = {}): Intent => ({
  id: randomUUID(),
  vm: 'v',
  finding: 'f1',
  instructionSet: 'set',
  epoch: 1,
  expires: 60_000,
  instruction: {
    name: 'delete:file',
    target: { path: { b64: '/w==' }, dev: '1', ino: '18446744073709551615', sha256: 'a'.repeat(64) },
  },
  intentAt: 10,
  ...over,
});

describe('the journal', () => {
  test('has an intent open until its outcome comes', () => {
    const journal = new ActionJournal(database);
    const first = intent();
    const second = intent({ intentAt: 20, vm: 'w' });
    journal.intent(first);
    journal.intent(second);
    expect(journal.open('v')).toStrictEqual([first]);
    expect(journal.outcome(first.id, done, 30)).toStrictEqual({ ...first, outcome: done, outcomeAt: 30 });
    expect(journal.open('v')).toEqual([]);
    expect(journal.open('w')).toStrictEqual([second]);
    expect(journal.list({ finding: 'f1' }).map(({ id }) => id)).toEqual([second.id, first.id]);
    expect(journal.verify()).toBeUndefined();
  });

  test('keeps the first outcome whatever comes later', () => {
    const journal = new ActionJournal(database);
    const only = intent();
    journal.intent(only);
    journal.outcome(only.id, done, 30);
    const again = journal.outcome(only.id, { code: 'failed' }, 40);
    expect(again).toMatchObject({ outcome: done, outcomeAt: 30 });
    expect(database.all('SELECT * FROM audit')).toHaveLength(2);
  });

  test('takes no second intent under one id, and no outcome without an intent', () => {
    const journal = new ActionJournal(database);
    const only = intent();
    journal.intent(only);
    expect(() => journal.intent(only)).toThrow();
    expect(() => journal.outcome(randomUUID(), done, 1)).toThrow(
      expect.objectContaining({ code: 'not-found' }),
    );
    expect(journal.verify()).toBeUndefined();
  });

  test('does not take an intent when the disk is full', () => {
    const journal = new ActionJournal(database);
    const pages = Number(database.get('PRAGMA page_count')?.page_count);
    database.get(`PRAGMA max_page_count = ${pages}`);
    const large = intent({ vm: 'v'.repeat(20_000) });
    expect(() => journal.intent(large)).toThrow(expect.objectContaining({ code: 'write-failed' }));
    expect(journal.find(large.id)).toBeUndefined();
    expect(journal.verify()).toBeUndefined();
  });

  test('does not hand out a damaged row, and acts upon nothing from then on', () => {
    const journal = new ActionJournal(database);
    const damaged = intent();
    const whole = intent();
    journal.intent(damaged);
    journal.intent(whole);
    expect(journal.whyStopped).toBeUndefined();
    database.run(`UPDATE actions SET instruction = '{"name":"run:anything","target":{}}' WHERE id = :id`, {
      id: damaged.id,
    });
    expect(() => journal.find(damaged.id)).toThrow(corrupt);
    expect(journal.has(damaged.id)).toBe(true);
    expect(journal.open('v')).toEqual([whole]);
    expect(() => journal.intent(intent())).toThrow(corrupt);
    expect(journal.whyStopped).toContain(damaged.id);
  });

  test('stops upon an action that the log has so too, and that no schema takes', () => {
    const journal = new ActionJournal(database);
    const odd = intent();
    journal.intent(odd);
    // As a newer release would have written it: row and log agree, and the chain is whole.
    const columns: Row = database.get('SELECT * FROM actions') ?? {};
    const instruction = '{"name":"freeze:process","target":{}}';
    const logged = { ...columns, instruction };
    database.run('DELETE FROM audit');
    rmSync(join(directory, 'audit.head'));
    new AuditLog(database).append(JSON.stringify(['intent', logged]));
    new AuditLog(database).sealHead();
    database.run('UPDATE actions SET instruction = :instruction', { instruction });
    expect(new ActionJournal(database).verify()).toMatch(/cannot be read: "instruction\.name"/);
    expect(() => new ActionJournal(database).intent(intent())).toThrow(corrupt);
  });

  test('keeps no outcome and no intent that could not be read again', () => {
    const journal = new ActionJournal(database);
    const unfit = expect.objectContaining({ code: 'unfit' });
    expect(() => journal.intent(intent({ epoch: 2 ** 53 }))).toThrow(unfit);
    const only = intent();
    journal.intent(only);
    expect(() => journal.outcome(only.id, { code: 'odd' } as never, 1)).toThrow(unfit);
    expect(journal.open('v')).toEqual([only]);
    expect(journal.verify()).toBeUndefined();
  });

  test('says of an integer that nothing can read that the action is not as it was', () => {
    const journal = new ActionJournal(database);
    journal.intent(intent());
    database.run('UPDATE actions SET epoch = 9223372036854775807');
    expect(journal.verify()).toMatch(/not as the audit log has it/);
  });
});

describe('the audit log', () => {
  const three = () => {
    const journal = new ActionJournal(database);
    for (const vm of ['a', 'b', 'c']) journal.intent(intent({ vm }));
    return journal;
  };
  const expectFault = (journal: ActionJournal, fault: string) => {
    expect(journal.verify()).toContain(fault);
    // A host that starts upon it acts no more.
    expect(() => new ActionJournal(database).intent(intent())).toThrow(corrupt);
  };

  test('shows a flipped bit', () => {
    const journal = three();
    database.run(`UPDATE audit SET entry = replace(entry, '"vm":"b"', '"vm":"x"') WHERE sequence = 2`);
    expectFault(journal, '"changed" at entry 2');
  });

  test('shows a dropped entry', () => {
    const journal = three();
    database.run('DELETE FROM audit WHERE sequence = 2');
    expectFault(journal, '"missing" at entry 2');
  });

  test('shows a dropped entry where the others were renumbered', () => {
    const journal = three();
    database.run('DELETE FROM audit WHERE sequence = 2');
    database.run('UPDATE audit SET sequence = 2 WHERE sequence = 3');
    expectFault(journal, '"changed" at entry 2');
  });

  test('shows two entries in each other’s place', () => {
    const journal = three();
    database.run('UPDATE audit SET sequence = 9 WHERE sequence = 1');
    database.run('UPDATE audit SET sequence = 1 WHERE sequence = 2');
    database.run('UPDATE audit SET sequence = 2 WHERE sequence = 9');
    expectFault(journal, '"changed" at entry 1');
  });

  test('shows that its end was cut off, all of it too', () => {
    const journal = three();
    database.run('DELETE FROM audit WHERE sequence = 3');
    expectFault(journal, '"cut" at entry 3');
    database.run('DELETE FROM audit');
    expectFault(journal, '"cut" at entry 1');
  });

  test('shows a head that was taken away or does not belong to it', () => {
    const journal = three();
    writeFileSync(join(directory, 'audit.head'), `2 ${'0'.repeat(64)}\n`);
    expectFault(journal, '"changed" at entry 2');
    writeFileSync(join(directory, 'audit.head'), 'nonsense');
    expect(() => journal.verify()).toThrow(corrupt);
    rmSync(join(directory, 'audit.head'));
    expectFault(journal, '"no-head"');
  });

  test('shows an action that was edited, dropped or added beside it', () => {
    const journal = three();
    database.run(`UPDATE actions SET epoch = 2 WHERE vm = 'b'`);
    expectFault(journal, 'is not as the audit log has it');
    database.run(`DELETE FROM actions WHERE vm = 'b'`);
    expectFault(journal, 'is missing');
  });

  test('is good when the host died between an entry and its head', () => {
    const journal = three();
    const { hash } = database.get('SELECT hash FROM audit WHERE sequence = 2') ?? {};
    writeFileSync(join(directory, 'audit.head'), `2 ${String(hash)}\n`);
    expect(journal.verify()).toBeUndefined();
  });
});

test('a write that a power cut tore apart is cut off, the rest is intact', () => {
  const first = intent();
  new ActionJournal(database).intent(first);
  // As a crash leaves it: the log not yet in the database file, its last record unfinished.
  const crashed = mkdtempSync(join(tmpdir(), 'lazaret-torn-'));
  for (const name of ['lazaret.db', 'lazaret.db-wal', 'audit.head']) {
    copyFileSync(join(directory, name), join(crashed, name));
  }
  appendFileSync(join(crashed, 'lazaret.db-wal'), Buffer.alloc(3000, 0x5a));
  const reopened = StateDatabase.open(crashed);
  const journal = new ActionJournal(reopened);
  expect(journal.open('v')).toStrictEqual([first]);
  expect(journal.verify()).toBeUndefined();
  journal.intent(intent());
  expect(journal.verify()).toBeUndefined();
  reopened.close();
  rmSync(crashed, { recursive: true });
});

test.each(['before-intent', 'after-intent', 'after-outcome'])(
  'a host killed %s leaves a journal that is whole',
  async (step) => {
    database.close();
    const child = spawn(
      process.execPath,
      [
        new URL(`./action-journal.child${extname(import.meta.filename)}`, import.meta.url).pathname,
        directory,
        step,
        JSON.stringify(intent()),
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const [code, signal] = await once(child, 'exit');
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
    database = StateDatabase.open(directory);
    const journal = new ActionJournal(database);
    expect(journal.verify()).toBeUndefined();
    expect(journal.open('v')).toHaveLength(step === 'after-intent' ? 1 : 0);
    expect(journal.list({ vm: 'v' })).toHaveLength(step === 'before-intent' ? 0 : 1);
    journal.intent(intent());
    expect(journal.verify()).toBeUndefined();
  },
);

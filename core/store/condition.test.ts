import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ActionJournal } from './action-journal.ts';
import { StateCondition } from './condition.ts';
import { StateDatabase } from './database.ts';
import { MIGRATIONS } from './migrations.ts';
import { ScanStore } from './scans.ts';

let directory: string;
let database: StateDatabase;
let journal: ActionJournal;
let now: number;
let condition: StateCondition;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-condition-'));
  database = StateDatabase.open(directory);
  journal = new ActionJournal(database);
  now = 1_000_000;
  const scans = new ScanStore(database);
  condition = new StateCondition({
    ...{ database, journal, clock: () => now },
    listings: { 'the scans': () => scans.page({}, { limit: 1 }) },
  });
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

const edit = (sql: string) => {
  const other = new DatabaseSync(join(directory, 'lazaret.db'));
  other.exec(sql);
  other.close();
};

describe('the condition of the database', () => {
  it('is good, also where a row cannot be read', () => {
    expect(condition.reasons()).toEqual([]);
    const asked = { mode: 'detect', dryRun: false, trigger: 'manual' } as const;
    new ScanStore(database).begin({ id: 's', vm: 'v', startedAt: 1, ...asked });
    edit("UPDATE scans SET mode = 'freeze'");
    expect(condition.reasons()).toEqual([]);
  });

  it('is bad where a listing cannot be read', () => {
    edit('DROP TABLE scans');
    expect(condition.reasons()).toEqual([
      expect.stringMatching(/^the scans cannot be read: .*no such table/),
    ]);
  });

  it('is bad where nothing can be written, tried again after a while', () => {
    edit("CREATE TRIGGER full BEFORE UPDATE ON writeProbe BEGIN SELECT raise(FAIL, 'the disk is full'); END");
    expect(condition.reasons()).toEqual([expect.stringMatching(/cannot be written: .*disk is full/)]);
    edit('DROP TRIGGER full');
    expect(condition.reasons()).toHaveLength(1);
    now += 5_000;
    expect(condition.reasons()).toEqual([]);
    // A clock that was set back does not make it stand for ever.
    edit("CREATE TRIGGER full BEFORE UPDATE ON writeProbe BEGIN SELECT raise(FAIL, 'the disk is full'); END");
    now -= 1_000_000;
    expect(condition.reasons()).toHaveLength(1);
  });

  it('is bad where another release changed it', () => {
    edit(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    expect(condition.reasons()).toEqual([expect.stringContaining('restart the service')]);
  });

  it('is bad where the journal lets nothing be acted upon', () => {
    edit(`INSERT INTO audit VALUES (1, '{}', 'x')`);
    const intent = () =>
      journal.intent({
        ...{ id: '7f5a1b0c-3b0e-4f0a-9a53-0d4f6d3c2b1a', vm: 'v', instructionSet: 's' },
        ...{ epoch: 1, expires: 1, intentAt: 1 },
        instruction: {
          name: 'delete:file',
          target: { path: '/x', dev: '1', ino: '1', sha256: 'a'.repeat(64) },
        },
      });
    expect(intent).toThrow(expect.objectContaining({ code: 'corrupt' }));
    expect(condition.reasons()).toEqual([expect.stringContaining('the journal was edited or is damaged')]);
  });
});

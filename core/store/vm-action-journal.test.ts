import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ActionJournal } from './action-journal.ts';
import { StateDatabase } from './database.ts';
import { type VmActionIntent, VmActionJournal } from './vm-action-journal.ts';

let directory: string;
let database: StateDatabase;
let actions: ActionJournal;
let journal: VmActionJournal;
const open = () => {
  database = StateDatabase.open(directory);
  actions = new ActionJournal(database);
  journal = new VmActionJournal(database, actions);
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-vm-journal-'));
  open();
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

const intent = (over: Partial<VmActionIntent> = {}): VmActionIntent => ({
  id: randomUUID(),
  vm: 'web',
  action: 'pause',
  requester: { kind: 'api', name: 'night-shift', role: 'operator' },
  intentAt: 10,
  ...over,
});

describe('an action upon a VM', () => {
  test('is open until its outcome comes, and keeps the first one', () => {
    const first = intent();
    const other = intent({
      ...{ vm: 'db', action: 'revert', snapshot: 'clean', intentAt: 20 },
      requester: { kind: 'policy', rule: 'onActiveThreat: pause', scan: 'scan-1' },
    });
    journal.intent(first);
    journal.intent(other);
    expect(journal.open('web')).toStrictEqual([first]);
    const closed = { ...first, outcome: { code: 'done' }, outcomeAt: 30 };
    expect(journal.outcome(first.id, { code: 'done' }, 30)).toStrictEqual(closed);
    expect(journal.outcome(first.id, { code: 'failed', detail: 'no' }, 40)).toStrictEqual(closed);
    expect(journal.open('web')).toEqual([]);
    expect(journal.page({}, { limit: 9 }).items).toStrictEqual([other, closed]);
    expect(journal.page({ vm: 'db' }, { limit: 9 }).items).toStrictEqual([other]);
    expect(actions.verify()).toBeUndefined();
  });

  test('that was never written down has no outcome', () => {
    expect(() => journal.outcome(randomUUID(), { code: 'done' }, 1)).toThrow(
      expect.objectContaining({ code: 'not-found' }),
    );
  });

  test('survives a process that ends between the two', () => {
    const only = intent();
    journal.intent(only);
    database.close();
    open();
    expect(journal.open('web')).toStrictEqual([only]);
    expect(actions.verify()).toBeUndefined();
  });

  test.each([
    [
      'edited',
      `UPDATE vmActions SET requester = '{"kind":"api","name":"me","role":"admin"}'`,
      /not as the audit log/,
    ],
    ['removed', 'DELETE FROM vmActions', /is missing/],
    ['reopened', 'UPDATE vmActions SET outcome = NULL, outcomeAt = NULL', /not as the audit log/],
    ['changed in the log', `UPDATE audit SET entry = replace(entry, 'pause', 'start')`, /"changed"/],
  ])('that was %s is shown by the check of the chain, and nothing more is done', (_, sql, fault) => {
    const only = intent();
    journal.intent(only);
    journal.outcome(only.id, { code: 'done' }, 30);
    database.run(sql);
    expect(actions.verify()).toMatch(fault);
    database.close();
    open();
    expect(() => journal.intent(intent())).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { vm } from '../../test/records.ts';
import { StateDatabase } from './database.ts';
import { ScanStore } from './scans.ts';
import { VmStore } from './vms.ts';

let directory: string;
let database: StateDatabase;
let scans: ScanStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'page-'));
  database = StateDatabase.open(join(directory, 'state'));
  new VmStore(database).save(vm());
  scans = new ScanStore(database);
  // Two of them began in the same millisecond.
  for (const [id, startedAt] of [...'abcde'].map((name, index) => [name, Math.floor(index / 2)] as const))
    scans.begin({ id, vm: vm().id, mode: 'detect', dryRun: false, trigger: 'manual', startedAt });
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

const ids = (page: ReturnType<ScanStore['page']>): string => page.items.map(({ id }) => id).join('');

describe('a table, page by page', () => {
  it('is read once and whole, newest first', () => {
    const first = scans.page({}, { limit: 2 });
    const second = scans.page({}, { limit: 2, before: first.next ?? '' });
    const third = scans.page({}, { limit: 2, before: second.next ?? '' });
    expect([first, second, third].map(ids)).toEqual(['ed', 'cb', 'a']);
    expect(third).not.toHaveProperty('next');
    expect(scans.page({}, { limit: 5 })).not.toHaveProperty('next');
  });

  it('is not upset by what comes meanwhile', () => {
    const { next = '' } = scans.page({}, { limit: 2 });
    scans.begin({ id: 'new', vm: vm().id, mode: 'detect', dryRun: false, trigger: 'manual', startedAt: 9 });
    expect(ids(scans.page({}, { limit: 9, before: next }))).toBe('cba');
  });

  it('has what it is asked for alone', () => {
    scans.finish('b', { state: 'finished', finishedAt: 3 });
    expect(ids(scans.page({ state: 'finished' }, { limit: 9 }))).toBe('b');
    expect(scans.page({ vm: 'nobody' }, { limit: 9 })).toEqual({ items: [] });
  });

  it.each(['', 'x', '1', '1.', '-1.a', '1e3.a', `1.${'a'.repeat(200)}`, "1.a' OR 1"])(
    'takes no cursor such as %j for a page that there is',
    (before) => {
      const read = () => scans.page({}, { limit: 2, before });
      if (before.includes("'")) expect(ids(read())).toBe('ba');
      else expect(read).toThrow(expect.objectContaining({ code: 'not-found' }));
    },
  );
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { vm } from '../../test/records.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { FindingStore } from '../store/findings.ts';
import { ScanStore } from '../store/scans.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { VmActionJournal } from '../store/vm-action-journal.ts';
import { VmStore } from '../store/vms.ts';
import { Reads } from './reads.ts';
import type { ScanView, VmView } from './views.ts';

const web = { id: vm().id, name: 'web-1' };

let directory: string;
let database: StateDatabase;
let scans: ScanStore;
let now: ScanView[];
let vms: VmView[];
let reads: Reads;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'reads-'));
  database = StateDatabase.open(join(directory, 'state'));
  new VmStore(database).save(vm());
  scans = new ScanStore(database);
  for (const index of [1, 2, 3, 4, 5]) record(`old-${index}`, index);
  [now, vms] = [[], [viewOf(web.id, web.name)]];
  const journal = new ActionJournal(database);
  reads = new Reads({
    records: {
      ...{ scans, vms: new VmStore(database), findings: new FindingStore(database) },
      ...{
        actions: journal,
        vmActions: new VmActionJournal(database, journal),
        vault: new VaultIndex(database),
      },
    },
    vms: async () => vms,
    scans: async () => now,
  });
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

const record = (id: string, startedAt: number): void => {
  scans.begin({ id, vm: web.id, mode: 'detect', dryRun: false, trigger: 'manual', startedAt });
};
const viewOf = (id: string, name: string): VmView => ({
  ...{ id, name, group: 'default', power: 'running', channel: 'open' },
  connection: { state: 'connected', since: 0 },
});
const scan = (id: string, state: ScanView['state']): ScanView => ({
  ...{ id, vm: web, mode: 'detect', dryRun: false, trigger: 'manual', state, queuedAt: 9 },
});
const idsOf = async (query: Parameters<Reads['scans']>[0]): Promise<string[]> =>
  (await reads.scans(query)).items.map(({ id }) => id);

describe('all scans', () => {
  beforeEach(() => {
    record('running', 100);
    now = [scan('waiting-2', 'queued'), scan('waiting-1', 'queued'), scan('running', 'running')];
  });

  it('are told page by page, none twice and none left out, those that wait first', async () => {
    const told: string[] = [];
    let before: string | undefined;
    do {
      const page = await reads.scans({ limit: 4, ...(before !== undefined && { before }) });
      told.push(...page.items.map(({ id }) => id));
      before = page.next;
    } while (before !== undefined);
    expect(told).toEqual(['waiting-2', 'waiting-1', 'running', 'old-5', 'old-4', 'old-3', 'old-2', 'old-1']);
    expect(await idsOf({ limit: 1 })).toEqual(['waiting-2', 'running']);
  });

  it('are those of one VM, or in one state', async () => {
    expect(await idsOf({ limit: 9, state: 'queued' })).toEqual(['waiting-2', 'waiting-1']);
    expect(await idsOf({ limit: 9, vm: 'web-1' })).toHaveLength(8);
    await expect(reads.scans({ limit: 9, vm: 'nobody' })).rejects.toMatchObject({ code: 'unknown-vm' });
  });

  it('have ended where their records say so, though that was not known yet', async () => {
    scans.finish('running', { state: 'finished', finishedAt: 200 });
    const { items } = await reads.scans({ limit: 9, state: 'finished' });
    expect(items).toMatchObject([{ id: 'running', state: 'finished', finishedAt: 200 }]);
  });

  it('are told as they are now, where that is known', async () => {
    const { items } = await reads.scans({ limit: 9 });
    expect(items.find(({ id }) => id === 'running')?.queuedAt).toBe(9);
    expect(await reads.scan('running')).toMatchObject({ state: 'running', queuedAt: 9 });
    expect(await reads.scan('old-1')).toMatchObject({ id: 'old-1', vm: web, startedAt: 1 });
    await expect(reads.scan('none')).rejects.toMatchObject({ code: 'unknown-scan' });
  });
});

describe('a VM', () => {
  it('is known by its id or its name, its records also when it is gone', async () => {
    expect(await reads.idOf('web-1')).toBe(web.id);
    vms = [];
    expect(await reads.idOf('web-1')).toBe(web.id);
    expect(await reads.idOf(web.id)).toBe(web.id);
    await expect(reads.vm('web-1')).rejects.toMatchObject({ code: 'unknown-vm' });
  });

  it('is not guessed where several are called so', async () => {
    vms = [viewOf('a', 'twin'), viewOf('b', 'twin')];
    await expect(reads.vm('twin')).rejects.toMatchObject({ code: 'ambiguous-vm' });
    await expect(reads.idOf('twin')).rejects.toMatchObject({ code: 'ambiguous-vm' });
    expect((await reads.vm('b')).id).toBe('b');
  });
});

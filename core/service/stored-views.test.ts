/** Whatever is stored is seen: each column of each table, through the API's schemas and over its socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cleanReport, finding, vm as vmRecord } from '../../test/records.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { FindingStore } from '../store/findings.ts';
import type { ActionRecord, FindingRecord, ScanRecord, VaultRecord, VmRecord } from '../store/records.ts';
import { ScanStore } from '../store/scans.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { VmStore } from '../store/vms.ts';
import { serveApi } from './api-thread/serve-api.ts';
import { connectDaemon } from './client.ts';
import type { GuestWatch } from './guest-watch.ts';
import { MemoryOperations } from './testing/operations.ts';
import { ScanReportView, ScanView, VmView } from './views.ts';
import { scanView, vmView } from './vm-views.ts';

const SHA = 'ab'.repeat(32);
const ID = '7f5a1b0c-3b0e-4f0a-9a53-0d4f6d3c2b1a';

// Each has all that its record can have: the test fails where a column stays empty.
const vm: VmRecord = { ...vmRecord(), suspended: { at: 5, reason: 'a clone of db' }, resetAt: 7 };
const scan: ScanRecord = {
  ...{ id: 's', vm: vm.id, mode: 'contain', dryRun: true, trigger: 'pack', partial: true, startedAt: 1 },
  ...{ state: 'failed', finishedAt: 2, error: { code: 'silent', message: 'the guest is silent' } },
  summary: {
    ...{ files: 1, bytes: 2, unchanged: 3, claimed: 4, processes: 5, malicious: 6, suspicious: 7 },
    unscanned: { grew: 8 },
  },
};
const found: FindingRecord = { ...finding(), reason: 'because' };
const action: ActionRecord = {
  ...{ id: ID, vm: vm.id, finding: found.id, instructionSet: 'set', epoch: 1, expires: 2, intentAt: 3 },
  instruction: { name: 'contain:file', target: { path: '/tmp/x', dev: '1', ino: '2', sha256: SHA } },
  ...{ outcome: { code: 'failed', detail: 'EPERM' }, outcomeAt: 4 },
} as ActionRecord;
const held: VaultRecord = {
  ...{ id: ID, vm: vm.id, finding: found.id, action: ID, path: { b64: '/w==' }, sha256: SHA, size: 68 },
  state: { mode: 0o644, uid: 1, gid: 2, atime: '1.000000000', mtime: '-1.000000001', xattrs: [] },
  ...{ status: 'held', at: 9 },
};

let directory: string;
let database: StateDatabase;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-views-'));
  database = StateDatabase.open(directory);
  new VmStore(database).save(vm);
  const scans = new ScanStore(database);
  const { state, finishedAt, summary, error, ...begun } = scan;
  scans.begin(begun);
  if (state === 'running' || !finishedAt || !summary || !error) return expect.unreachable();
  scans.finish(scan.id, { state, finishedAt, summary, error });
  new FindingStore(database).upsert(found);
  const { outcome, outcomeAt, ...intent } = action;
  const journal = new ActionJournal(database);
  journal.intent(intent);
  if (!outcome || !outcomeAt) return expect.unreachable();
  journal.outcome(action.id, outcome, outcomeAt);
  new VaultIndex(database).save(held);
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

const columnsOf = (table: string): string[] =>
  database.all(`SELECT name FROM pragma_table_info('${table}')`).map(({ name }) => String(name));

it.each(['vms', 'scans', 'findings', 'actions', 'vault'])('%s: this test knows every column', (table) => {
  const [row = {}] = database.all(`SELECT * FROM ${table}`);
  expect(Object.entries(row).filter(([, value]) => value === null)).toEqual([]);
});

it('findings, actions and the vault are told as they are stored', async () => {
  const path = join(directory, 'api.sock');
  const silent = () => undefined;
  const operations = Object.assign(new MemoryOperations(), { liveScans: async () => [] });
  await using _api = await serveApi({
    ...{ operations, data: { options: { unix: { path, mode: 0o600 } }, state: directory } },
    ...{ logger: { debug: silent, info: silent, warn: silent }, onAnswer: silent, onLeftOut: silent },
  });
  const client = (await connectDaemon(path)) ?? expect.unreachable();
  expect((await client.findings({ limit: 9 })).items).toStrictEqual([found]);
  expect((await client.actions({ limit: 9 })).items).toStrictEqual([action]);
  expect((await client.quarantine({ limit: 9 })).items).toStrictEqual([held]);
  const [told] = (await client.scans({ limit: 9 })).items;
  const { vm: _vm, ...rest } = scan;
  expect(told).toStrictEqual({ ...rest, vm: { id: vm.id, name: vm.name }, queuedAt: scan.startedAt });
  expect(Object.keys(told ?? {})).toEqual(expect.arrayContaining(columnsOf('scans')));
});

describe('what a scan comes to', () => {
  it('has the VM and the scan as they are stored, whichever way it went', () => {
    const report = { ...cleanReport(), vm, scan, findings: [found] };
    expect(ScanReportView.parse(JSON.parse(JSON.stringify(report)))).toStrictEqual(report);
  });

  it('has the scan as its view has it', () => {
    const view = scanView(scan, vm);
    expect(ScanView.parse(JSON.parse(JSON.stringify(view)))).toStrictEqual(view);
  });
});

describe('a VM', () => {
  /** Each column: where the view has it, or why it has not. */
  const SEEN: Readonly<Record<string, (view: VmView) => unknown>> = {
    id: ({ id }) => id,
    name: ({ name }) => name,
    login: ({ agentVersion }) => agentVersion,
    lastSeen: ({ lastSeen }) => lastSeen,
    features: ({ system }) => system,
    instructionSet: ({ instructionSet }) => instructionSet,
    suspended: ({ suspended }) => suspended,
    resetAt: ({ resetAt }) => resetAt,
  };
  const NOT_SEEN = {
    socket: 'a place of the host, which those who ask from elsewhere have no use for',
    agentKey: 'lazaret enrol and lazaret vm show tell it, on the host',
    epoch: 'between host and agent',
    enrolledAt: 'lazaret vm show tells it, on the host',
  };

  it('is told with every column, or it is said why not', () => {
    const domain = { id: vm.id, name: vm.name, socket: '/run/x', state: 'running', port: 'connected' };
    const watch = { domain, connection: { state: 'waiting', since: 1 } } as unknown as GuestWatch;
    const records = { vms: new VmStore(database), scans: new ScanStore(database) };
    const made = vmView(watch, { records, groupOf: () => undefined, nextScanOf: () => undefined });
    const view = VmView.parse(JSON.parse(JSON.stringify(made)));
    expect(view).toStrictEqual(made);
    expect([...Object.keys(SEEN), ...Object.keys(NOT_SEEN)].sort()).toEqual(columnsOf('vms').sort());
    for (const [column, see] of Object.entries(SEEN)) expect(see(view), column).toBeDefined();
    expect([view.suspended, view.resetAt]).toEqual([vm.suspended, vm.resetAt]);
  });
});

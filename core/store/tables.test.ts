import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StateDatabase } from './database.ts';
import { FindingStore } from './findings.ts';
import { PatchStore } from './patches.ts';
import type { FindingRecord, PatchRecord, VaultRecord, VmRecord } from './records.ts';
import { ScanStore } from './scans.ts';
import { VaultIndex } from './vault-index.ts';
import { VmStore } from './vms.ts';

let directory: string;
let database: StateDatabase;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-store-'));
  database = StateDatabase.open(directory);
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

const corrupt = expect.objectContaining({ code: 'corrupt' });
const notFound = expect.objectContaining({ code: 'not-found' });

describe('VmStore', () => {
  const vm: VmRecord = {
    id: 'vm-1',
    name: 'web',
    socket: '/run/web.sock',
    agentKey: 'a'.repeat(64),
    login: {
      type: 'login',
      protocol: [1],
      agent: { id: randomUUID(), version: '0.1.0' },
      bootId: randomUUID(),
    },
    epoch: 1,
    enrolledAt: 1000,
    lastSeen: 1000,
  };

  test('keeps a guest, with what was negotiated once there is something', () => {
    const vms = new VmStore(database);
    expect(vms.find('vm-1')).toBeUndefined();
    vms.save(vm);
    expect(vms.find('vm-1')).toStrictEqual(vm);
    const negotiated: VmRecord = {
      ...vm,
      lastSeen: 2000,
      features: {
        versions: ['1.1'],
        profiles: ['er'],
        pairs: { contain: ['file'] },
        'x-lazaret': {
          os: { id: 'debian', version: '12', name: 'Debian', kernel: '6.1', arch: 'x86_64' },
          init: 'systemd',
          privileges: { uid: 0, root: true },
          fileSystems: [{ path: { b64: '/w==' }, type: 'ext4' }],
          denied: [],
          limits: { stagedBytes: 1, contentFiles: 1 },
        },
      },
      instructionSet: {
        id: 'x',
        instructions: ['contain:file'],
        withheld: [{ instruction: 'delete:file', reason: 'denied-by-policy' }],
      },
    };
    vms.save(negotiated);
    expect(vms.list()).toStrictEqual([negotiated]);
  });

  test('suspends a guest, for the first reason that it is given, and knows one that was reset', () => {
    const vms = new VmStore(database);
    expect(vms.suspend('vm-1', { at: 1, reason: 'a clone' })).toBe(false);
    vms.save({ ...vm, resetAt: 5 });
    expect(vms.suspend('vm-1', { at: 1, reason: 'a clone' })).toBe(true);
    vms.suspend('vm-1', { at: 2, reason: 'another clone' });
    expect(vms.find('vm-1')).toStrictEqual({ ...vm, resetAt: 5, suspended: { at: 1, reason: 'a clone' } });
    vms.save(vm);
    expect(vms.find('vm-1')).toStrictEqual(vm);
  });

  test('does not hand out a damaged row', () => {
    const vms = new VmStore(database);
    vms.save(vm);
    database.run(`UPDATE vms SET login = '{"type":"login"'`);
    expect(() => vms.find('vm-1')).toThrow(corrupt);
    database.run(`UPDATE vms SET login = '{"type":"login"}'`);
    expect(() => vms.find('vm-1')).toThrow(corrupt);
    expect(vms.list()).toEqual([]);
  });
});

describe('ScanStore', () => {
  const summary = {
    files: 3,
    bytes: 9,
    unchanged: 0,
    claimed: 0,
    processes: 1,
    malicious: 1,
    suspicious: 0,
    unscanned: { grew: 1 },
  };
  const asked = { dryRun: false, trigger: 'manual' } as const;

  test('begins a scan and ends it once', () => {
    const scans = new ScanStore(database);
    const begun = scans.begin({ id: 's1', vm: 'v', mode: 'contain', startedAt: 10, ...asked });
    expect(scans.get('s1')).toStrictEqual(begun);
    const ended = scans.finish('s1', { state: 'finished', finishedAt: 20, summary });
    expect(ended).toStrictEqual({ ...begun, state: 'finished', finishedAt: 20, summary });
    expect(() => scans.finish('s1', { state: 'failed', finishedAt: 30 })).toThrow(notFound);
    expect(() => scans.get('s2')).toThrow(notFound);
  });

  test('lists newest first, of one guest or all, and ends what was abandoned', () => {
    const scans = new ScanStore(database);
    scans.begin({ id: 's1', vm: 'v', mode: 'detect', startedAt: 10, ...asked });
    scans.begin({ id: 's2', vm: 'w', mode: 'detect', startedAt: 20, ...asked });
    expect(scans.list().map(({ id }) => id)).toEqual(['s2', 's1']);
    expect(scans.list({ vm: 'v' }).map(({ id }) => id)).toEqual(['s1']);
    expect(scans.failAbandoned(99)).toBe(2);
    expect(scans.get('s2')).toMatchObject({ state: 'failed', finishedAt: 99 });
  });

  test('keeps what had a scan begin, and why it came to nothing', () => {
    const scans = new ScanStore(database);
    scans.begin({ id: 's1', vm: 'v', mode: 'contain', startedAt: 10, dryRun: true, trigger: 'pack' });
    const error = { code: 'silent', message: 'the guest is silent' };
    scans.finish('s1', { state: 'failed', finishedAt: 20, error });
    expect(scans.get('s1')).toMatchObject({ dryRun: true, trigger: 'pack', error });
  });

  test('tells the last scan of a whole guest', () => {
    const scans = new ScanStore(database);
    const end = (id: string) => scans.finish(id, { state: 'finished', finishedAt: 99, summary });
    scans.begin({ id: 'whole', vm: 'v', mode: 'detect', startedAt: 10, ...asked });
    scans.begin({ id: 'part', vm: 'v', mode: 'detect', startedAt: 20, ...asked, partial: true });
    scans.begin({ id: 'broken', vm: 'v', mode: 'detect', startedAt: 30, ...asked });
    expect(scans.lastOf('v')).toBeUndefined();
    end('part');
    expect(scans.get('part')).toMatchObject({ partial: true });
    expect(scans.lastOf('v')).toBeUndefined();
    end('whole');
    scans.finish('broken', { state: 'failed', finishedAt: 99 });
    expect(scans.lastOf('v')?.id).toBe('whole');
  });

  test('gives pages, newest first, until there is nothing left', () => {
    const scans = new ScanStore(database);
    for (const [index, vm] of ['v', 'w', 'v', 'v', 'v'].entries()) {
      scans.begin({ id: `s${index}`, vm, mode: 'detect', startedAt: 10 + (index >> 1), ...asked });
    }
    const first = scans.page({ vm: 'v' }, { limit: 2 });
    expect(first.items.map(({ id }) => id)).toEqual(['s4', 's3']);
    const second = scans.page({ vm: 'v' }, { limit: 2, before: first.next ?? '' });
    expect(second.items.map(({ id }) => id)).toEqual(['s2', 's0']);
    expect(second.next).toBeUndefined();
    expect(scans.page({}, { limit: 10 }).items).toHaveLength(5);
    expect(() => scans.page({}, { limit: 10, before: "1'; DROP TABLE scans" })).toThrow(notFound);
  });

  test('does not hand out a damaged row', () => {
    const scans = new ScanStore(database);
    scans.begin({ id: 's1', vm: 'v', mode: 'detect', startedAt: 10, ...asked });
    database.run(`UPDATE scans SET mode = 'destroy'`);
    expect(() => scans.get('s1')).toThrow(corrupt);
  });
});

describe('FindingStore', () => {
  const finding: FindingRecord = {
    id: 'f1',
    vm: 'v',
    scan: 's1',
    firstSeen: 10,
    lastSeen: 10,
    judgement: 'malicious',
    subject: { kind: 'file', path: { b64: '/w==' }, sha256: 'b'.repeat(64), size: 68 },
    detections: [{ detector: 'yara', judgement: 'malicious', name: 'Eicar', attack: ['T1204'] }],
    response: 'reported',
    reason: 'the mode is detect',
  };

  test('renews a finding that is met again, keeping when it was first seen', () => {
    const findings = new FindingStore(database);
    expect(findings.upsert(finding)).toStrictEqual(finding);
    const { reason, ...rest } = finding;
    const again = { ...rest, scan: 's2', firstSeen: 20, lastSeen: 20, response: 'contained' as const };
    expect(findings.upsert(again)).toStrictEqual({ ...again, firstSeen: 10 });
    expect(findings.list()).toHaveLength(1);
    expect(findings.find('f1')).not.toHaveProperty('reason');
  });

  test('keeps the container of a process, and many findings or none', () => {
    const findings = new FindingStore(database);
    const container = { runtime: 'docker', id: 'db' };
    const told = { kind: 'process', pid: 7, start: '5', uid: 0, name: 'x', executable: '/x' } as const;
    const process = { ...finding, id: 'f2', subject: { ...told, namespace: 'foreign', container } } as const;
    expect(findings.upsertAll([finding, process])).toStrictEqual([finding, process]);
    expect(findings.find('f2')).toStrictEqual(process);
    const broken = { ...finding, id: 'f4', vm: null as never };
    expect(() => findings.upsertAll([{ ...finding, id: 'f3' }, broken])).toThrow();
    expect(findings.find('f3')).toBeUndefined();
  });

  test('keeps so many of one guest: no new ones past that, known ones are renewed, other guests have their own', () => {
    const findings = new FindingStore(database, 2);
    const made = (id: string, more: object = {}) => ({
      ...finding,
      id,
      firstSeen: 10,
      lastSeen: 10,
      ...more,
    });
    expect(findings.upsertAll([made('f1'), made('f2')])).toHaveLength(2);
    expect(() => findings.upsertAll([made('f2'), made('f3')])).toThrow(
      expect.objectContaining({ code: 'write-failed' }),
    );
    expect(
      findings
        .list()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['f1', 'f2']);
    expect(findings.upsertAll([made('f2', { lastSeen: 20 })])).toMatchObject([
      { firstSeen: 10, lastSeen: 20 },
    ]);
    expect(findings.upsertAll([made('f4', { vm: 'w' })])).toHaveLength(1);
  });

  test('filters by guest, scan and judgement', () => {
    const findings = new FindingStore(database);
    findings.upsert(finding);
    findings.upsert({ ...finding, id: 'f2', vm: 'w', lastSeen: 20 });
    findings.upsert({ ...finding, id: 'f3', scan: 's2', judgement: 'suspicious', lastSeen: 30 });
    const ids = (filter: Parameters<FindingStore['list']>[0]) => findings.list(filter).map(({ id }) => id);
    expect(ids({})).toEqual(['f3', 'f2', 'f1']);
    expect(ids({ vm: 'v' })).toEqual(['f3', 'f1']);
    expect(ids({ vm: 'v', judgement: 'malicious' })).toEqual(['f1']);
    expect(ids({ scan: 's2' })).toEqual(['f3']);
  });

  test('counts what a scan came to, and pages it', () => {
    const findings = new FindingStore(database);
    expect(findings.countOf('s1')).toEqual({ malicious: 0, suspicious: 0 });
    for (const id of ['f1', 'f2', 'f3']) findings.upsert({ ...finding, id });
    findings.upsert({ ...finding, id: 'f3' });
    findings.upsert({ ...finding, id: 'f4', judgement: 'suspicious' });
    findings.upsert({ ...finding, id: 'f5', scan: 's2' });
    expect(findings.countOf(finding.scan)).toEqual({ malicious: 3, suspicious: 1 });
    const page = findings.page({ scan: finding.scan }, { limit: 3 });
    expect(page.items).toHaveLength(3);
    const rest = findings.page({ scan: finding.scan }, { limit: 3, before: page.next ?? '' });
    expect(rest.items).toHaveLength(1);
  });

  test('knows whether malware of a scan still runs', () => {
    const findings = new FindingStore(database);
    const subject = { kind: 'process', pid: 7, start: '1', uid: 0, name: 'x', executable: '/tmp/x' } as const;
    const runs = (changes: Partial<FindingRecord>) => {
      findings.upsert({ ...finding, subject, ...changes });
      return findings.hasRunning(finding.scan);
    };
    findings.upsert(finding);
    expect(findings.hasRunning(finding.scan)).toBe(false);
    expect(runs({ response: 'stopped' })).toBe(false);
    expect(runs({ judgement: 'suspicious' })).toBe(false);
    expect(runs({ response: 'failed' })).toBe(true);
    expect(runs({ response: 'reported' })).toBe(true);
    expect(findings.hasRunning('another')).toBe(false);
  });

  test('takes a response', () => {
    const findings = new FindingStore(database);
    findings.upsert(finding);
    expect(findings.setResponse('f1', 'failed', 'the file had changed')).toMatchObject({
      response: 'failed',
      reason: 'the file had changed',
    });
    expect(findings.setResponse('f1', 'contained')).not.toHaveProperty('reason');
    expect(() => findings.setResponse('f9', 'contained')).toThrow(notFound);
  });

  test('does not hand out a damaged row', () => {
    const findings = new FindingStore(database);
    findings.upsert(finding);
    database.run(`UPDATE findings SET subject = '{"kind":"file"}'`);
    expect(() => findings.find('f1')).toThrow(corrupt);
    expect(findings.list()).toEqual([]);
  });
});

describe('VaultIndex', () => {
  const record: VaultRecord = {
    id: randomUUID(),
    vm: 'v',
    action: 'a1',
    path: '/tmp/x',
    sha256: 'c'.repeat(64),
    size: 1,
    status: 'arriving',
    at: 10,
  };
  const state = { mode: 0o644, uid: 1, gid: 2, atime: '1.000000000', mtime: '-1.000000001', xattrs: [] };

  test('keeps a record as it changes, and finds it by its command', () => {
    const vault = new VaultIndex(database);
    vault.save(record);
    expect(vault.get(record.id)).toStrictEqual(record);
    vault.save({ ...record, status: 'held', state, finding: 'f1' });
    expect(vault.ofAction('a1')).toStrictEqual({ ...record, status: 'held', state, finding: 'f1' });
    expect(vault.list({ status: 'arriving' })).toEqual([]);
    expect(vault.list({ vm: 'v', status: 'held' })).toHaveLength(1);
    vault.remove(record.id);
    expect(() => vault.get(record.id)).toThrow(notFound);
  });

  test('neither takes nor hands out an id that could be a path', () => {
    const vault = new VaultIndex(database);
    const id = '../../etc/passwd';
    expect(() => vault.save({ ...record, id })).toThrow(expect.objectContaining({ code: 'unfit' }));
    vault.save(record);
    database.run('UPDATE vault SET id = :id', { id });
    expect(() => vault.get(id)).toThrow(corrupt);
    expect(vault.list()).toEqual([]);
  });
});

describe('PatchStore', () => {
  const record: PatchRecord = {
    id: 'p1',
    vm: 'v',
    patch: 'sshd-basics',
    title: 'sshd',
    state: 'applied',
    reasons: [],
    actions: ['a1'],
    at: 10,
  };

  test('keeps every try, newest first', () => {
    const patches = new PatchStore(database);
    patches.add(record);
    patches.add({ ...record, id: 'p2', state: 'refused', reasons: ['no'], at: 20 });
    expect(patches.list({ patch: 'sshd-basics' }).map(({ state }) => state)).toEqual(['refused', 'applied']);
    expect(patches.list({ vm: 'w' })).toEqual([]);
    database.run(`UPDATE patches SET reasons = 'none'`);
    expect(patches.list()).toEqual([]);
  });
});

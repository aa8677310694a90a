import { describe, expect, it } from 'vitest';
import { type Instruction, type Outcome, type OutcomeCode, outcomeCodes } from '../../protocol/index.ts';
import { finding, processFinding, report, vm } from '../../test/records.ts';
import type {
  ActionRecord,
  FindingRecord,
  Requester,
  ScanRecord,
  VmActionRecord,
  VmRecord,
} from '../store/records.ts';
import { detectionFinding, remediation, scanEnded, scanStarted, vaultState, vmActionEvent } from './ocsf.ts';
import type { OcsfEvent } from './sink.ts';

const SHA256 = 'cd'.repeat(32);
const TARGETS = {
  'stop:process': { pid: 4711, start: '99', executable: { dev: '1', ino: '2' } },
  'contain:file': { path: '/tmp/eicar.com', dev: '1', ino: '2', sha256: SHA256 },
  'delete:file': { path: '/tmp/eicar.com', dev: '1', ino: '2', sha256: SHA256 },
  'restore:file': {
    path: '/tmp/eicar.com',
    sha256: SHA256,
    state: { mode: 0o644, uid: 0, gid: 0, atime: '1.000000000', mtime: '1.000000000', xattrs: [] },
  },
  'update:file': { path: '/etc/ssh/sshd_config', expect: SHA256, content: 'ef'.repeat(32) },
} as const satisfies { [Name in Instruction['name']]: Extract<Instruction, { name: Name }>['target'] };
type Name = keyof typeof TARGETS;

const action = (name: Name, outcome?: Outcome): ActionRecord => ({
  id: 'b3a7c0de-0000-4000-8000-000000000001',
  vm: vm().id,
  finding: 'finding-1',
  instructionSet: 'set-1',
  epoch: 3,
  expires: 2_000,
  instruction: { name, target: TARGETS[name] } as Instruction,
  intentAt: 1_000,
  ...(outcome && { outcome, outcomeAt: 1_500 }),
});

const { scan } = report();
const { id, vm: scanned } = scan;
const asked = { id, vm: scanned, mode: 'contain', dryRun: false, trigger: 'manual' } as const;
const running: ScanRecord = { ...asked, startedAt: 1, state: 'running' };

const vmAction = (requester: Requester): VmActionRecord => ({
  ...{ id: 'vm-action-1', vm: vm().id, action: 'pause', requester, intentAt: 5 },
  ...{ outcome: { code: 'done' }, outcomeAt: 6 },
});

/** One event of each kind that there is. */
const all: readonly OcsfEvent[] = [
  scanStarted(running, vm()),
  scanEnded(scan, vm(), { kind: 'completed' }),
  scanEnded(scan, vm(), { kind: 'cancelled' }),
  scanEnded({ ...running, finishedAt: 5 }, vm(), { kind: 'failed', reason: 'the guest is silent' }),
  detectionFinding(finding(), vm()),
  detectionFinding(processFinding(), vm()),
  vaultState(vm(), 'not contained, the vault is full', 7),
  vaultState(vm(), undefined, 8),
  vmActionEvent(vmAction({ kind: 'api', name: 'night-shift', role: 'admin' }), vm().name),
  vmActionEvent(vmAction({ kind: 'policy', rule: 'onActiveThreat: pause', scan: 'scan-1' }), vm().name),
  ...(Object.keys(TARGETS) as Name[]).flatMap((name) => [
    remediation(action(name), vm()),
    ...outcomeCodes.map((code) => remediation(action(name, { code }), vm(), finding())),
  ]),
];

describe('every event', () => {
  it('has what OCSF 1.6.0 requires of every class', () => {
    for (const event of all) {
      expect(event).toMatchObject({
        metadata: { version: '1.6.0', product: { name: 'Lazaret' } },
        category_uid: Math.floor(event.class_uid / 1000),
        type_uid: event.class_uid * 100 + event.activity_id,
        severity_id: expect.any(Number),
        time: expect.any(Number),
        message: expect.any(String),
        device: { uid: vm().id, name: 'web-1', type_id: 6 },
      });
    }
  });

  it('has an id of its own', () => {
    expect(new Set(all.map(({ metadata }) => metadata.uid)).size).toBe(all.length);
    for (const { metadata } of all) expect(metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is the same after a turn through JSON: nothing in it is undefined', () => {
    for (const event of all) expect(JSON.parse(JSON.stringify(event))).toStrictEqual(event);
  });
});

describe('scan activity', () => {
  it('starts, and is completed with its counts', () => {
    expect(all[0]).toMatchObject({ class_uid: 6007, activity_id: 1, time: 1, scan: { uid: 'scan-1' } });
    const summary = {
      files: 10,
      bytes: 99,
      unchanged: 0,
      claimed: 0,
      processes: 2,
      malicious: 0,
      suspicious: 0,
      unscanned: {},
    };
    const clean = scanEnded({ ...scan, summary }, vm(), { kind: 'completed' });
    expect(clean).toMatchObject({ activity_id: 2, status_id: 1, num_files: 10, num_processes: 2, total: 12 });
    expect(clean).toMatchObject({ num_detections: 0, num_skipped_items: 0, duration: 2000 });
  });

  it('is no success while something has no verdict', () => {
    const unscanned = { 'too-large': 7, vanished: 2, unreadable: 0 };
    const summary = {
      files: 10,
      bytes: 99,
      unchanged: 0,
      claimed: 0,
      processes: 2,
      malicious: 1,
      suspicious: 2,
      unscanned,
    };
    expect(scanEnded({ ...scan, summary }, vm(), { kind: 'completed' })).toMatchObject({
      activity_id: 2,
      status_id: 99,
      status: 'Incomplete',
      status_detail: 'not scanned: 7 too-large, 2 vanished',
      num_skipped_items: 9,
      num_detections: 3,
    });
  });

  it('tells a cancelled scan from one that failed, and why', () => {
    expect(all[2]).toMatchObject({ activity_id: 3, status_id: 2 });
    expect(all[3]).toMatchObject({ activity_id: 6, status_id: 2, status_detail: 'the guest is silent' });
  });

  it('does not end before the scan has', () => {
    expect(() => scanEnded(running, vm(), { kind: 'completed' })).toThrow(TypeError);
  });
});

describe('detection finding', () => {
  it('has the file, its hash and what every engine said', () => {
    expect(detectionFinding(finding(), vm())).toMatchObject({
      class_uid: 2004,
      finding_info: {
        uid: 'finding-1',
        title: 'EICAR_Test in /tmp/eicar.com',
        analytic: { name: 'EICAR_Test', category: 'yara' },
        related_analytics: [{ name: 'eicar', category: 'hashset' }],
      },
      evidences: [
        {
          file: {
            name: 'eicar.com',
            path: '/tmp/eicar.com',
            size: 68,
            hashes: [{ algorithm_id: 3, value: SHA256 }],
          },
        },
      ],
      severity_id: 4,
      confidence_id: 3,
      disposition: 'Quarantined',
      status: 'Resolved',
      is_alert: true,
    });
  });

  it('has the container of the process, with its text escaped', () => {
    const { subject } = processFinding();
    const container = { runtime: 'docker', id: 'db\u001b[2J' };
    const event = detectionFinding(
      { ...processFinding(), subject: { ...subject, container } as never },
      vm(),
    );
    expect(event).toMatchObject({ evidences: [{ container: { runtime: 'docker', uid: 'db\\x1b[2J' } }] });
  });

  it('has the process, and is no alert when it is only suspicious', () => {
    expect(detectionFinding({ ...processFinding(), response: 'reported' }, vm())).toMatchObject({
      evidences: [{ process: { pid: 4711, uid: '4711@99', name: 'x', file: { path: '/tmp/.x' } } }],
      malware: [],
      severity_id: 3,
      disposition: 'Detected',
      status: 'New',
      is_alert: false,
    });
  });

  it('is created once, and updated by its answer and by later scans', () => {
    const { reason: _, ...found } = finding();
    const created: FindingRecord = { ...found, response: 'reported' };
    expect(detectionFinding(created, vm()).activity_id).toBe(1);
    expect(detectionFinding({ ...created, response: 'contained' }, vm()).activity_id).toBe(2);
    expect(detectionFinding({ ...created, reason: 'mode detect' }, vm()).activity_id).toBe(2);
    expect(detectionFinding({ ...created, lastSeen: created.firstSeen + 1 }, vm()).activity_id).toBe(2);
  });

  it('names ATT&CK techniques once, a sub-technique below its technique', () => {
    const detection = { detector: 'yara', judgement: 'malicious', name: 'A' } as const;
    const detections = [
      { ...detection, attack: ['T1070.004', 'T1620'] },
      { ...detection, attack: ['T1620'] },
    ];
    expect(detectionFinding({ ...finding(), detections }, vm())).toMatchObject({
      finding_info: {
        attacks: [
          { technique: { uid: 'T1070' }, sub_technique: { uid: 'T1070.004' } },
          { technique: { uid: 'T1620' } },
        ],
      },
    });
  });
});

describe('remediation', () => {
  it.each([
    ['stop:process', 7003, 2, 'D3-PT', 'Blocked'],
    ['contain:file', 7002, 1, 'D3-CQ', 'Quarantined'],
    ['delete:file', 7002, 2, 'D3-FEV', 'Deleted'],
    ['restore:file', 7002, 3, 'D3-RF', 'Restored'],
    ['update:file', 7002, 4, 'D3-SU', 'Corrected'],
  ] as const)('of %s is class %d, activity %d, countermeasure %s', (name, uid, activity, d3fend, done) => {
    const event = remediation(action(name, { code: 'done' }), vm(), finding());
    expect(event).toMatchObject({
      class_uid: uid,
      activity_id: activity,
      command_uid: action(name).id,
      countermeasures: [{ d3f_technique: { uid: d3fend } }],
      status: 'Success',
      disposition: done,
      time: 1_500,
      metadata: {
        correlation_uid: 'scan-1',
        tags: [
          { name: 'instruction set', value: 'set-1' },
          { name: 'finding', value: 'finding-1' },
        ],
      },
    });
    expect(event).toHaveProperty(uid === 7003 ? 'process.pid' : 'file.path');
  });

  it('is a success when it is done, and only then', () => {
    const statuses = new Map(
      outcomeCodes.map((code) => [code, remediation(action('delete:file', { code }), vm())]),
    );
    for (const [code, event] of statuses) {
      expect(event.status_code).toBe(code);
      expect(event.status_id === 1).toBe(code === 'done');
      expect(event.disposition === 'Deleted').toBe(code === 'done');
    }
    const statusOf = (code: OutcomeCode) => statuses.get(code)?.status;
    expect(statusOf('vanished')).toBe('Does Not Exist');
    expect(statusOf('denied')).toBe('Unsupported');
    expect(statusOf('interrupted')).toBe('Error');
  });

  it('has an unknown status while the guest has not answered', () => {
    expect(remediation(action('contain:file'), vm())).toMatchObject({
      status_id: 0,
      disposition_id: 0,
      time: 1_000,
    });
  });

  it('of a process that runs a found file names that file', () => {
    expect(remediation(action('stop:process', { code: 'done' }), vm(), finding())).toMatchObject({
      process: { pid: 4711, uid: '4711@99', file: { path: '/tmp/eicar.com', hashes: [{ value: SHA256 }] } },
    });
  });
});

describe('text that a guest chose', () => {
  const hostile = '\u001b[2J\u202e\u009b\n\ud800';
  const ugly: readonly (string | { b64: string })[] = [
    `/tmp/${hostile}`,
    { b64: Buffer.from([0x2f, 0xff, 0x1b, 0x2f, 0x9b]).toString('base64') },
  ];
  const os = { id: hostile, version: hostile, name: hostile, kernel: hostile, arch: hostile };

  it.each(ugly)('acts on nothing: %j', (path) => {
    const { features } = vm();
    const guest: VmRecord = {
      ...vm(),
      name: hostile,
      login: { ...vm().login, agent: { ...vm().login.agent, version: hostile } },
      ...(features && { features: { ...features, 'x-lazaret': { ...features['x-lazaret'], os } } }),
    };
    const detections = [
      {
        detector: hostile,
        judgement: 'malicious',
        name: hostile,
        source: hostile,
        description: hostile,
        attack: [hostile],
      },
    ] as const;
    const file: FindingRecord = {
      ...finding(),
      reason: hostile,
      detections,
      subject: { kind: 'file', path, sha256: SHA256, size: 1 },
    };
    const process: FindingRecord = {
      ...processFinding(),
      detections,
      subject: { kind: 'process', pid: 1, start: '1', uid: 0, name: path, executable: path },
    };
    const outcome: Outcome = { code: 'changed', detail: hostile, putBackAs: path };
    const contained = action('contain:file', outcome);
    const target = { ...TARGETS['contain:file'], path };
    const events = [
      scanEnded(scan, guest, { kind: 'failed', reason: hostile }),
      detectionFinding(file, guest),
      detectionFinding(process, guest),
      remediation({ ...contained, instruction: { name: 'contain:file', target } }, guest, file),
      remediation(action('stop:process', outcome), guest, process),
      remediation(action('stop:process', outcome), guest, file),
    ];
    for (const event of events) {
      for (const text of stringsIn(event)) expect(text).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u);
    }
  });
});

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}

describe('a vault that takes no more of a VM', () => {
  it('is an error of ours, with its reason, and so is told when it is over', () => {
    expect(vaultState(vm(), 'it has 7 files', 7)).toMatchObject({
      class_uid: 6008,
      activity_id: 1,
      status_id: 2,
      status_code: 'vault-full',
      status_detail: 'it has 7 files',
    });
    const over = vaultState(vm(), undefined, 8);
    expect(over).toMatchObject({ class_uid: 6008, activity_id: 99, status_id: 1, status_code: 'vault-open' });
    expect(over).not.toHaveProperty('status_detail');
  });
});

describe('an action upon a VM', () => {
  it('is an activity of an entity, with who had it done', () => {
    const [byName, byPolicy] = all.filter(({ class_uid }) => class_uid === 3004);
    expect(byName).toMatchObject({
      ...{ activity_id: 12, status_id: 1, start_time: 5, end_time: 6 },
      ...{ actor: { user: { name: 'night-shift' } }, entity: { uid: vm().id } },
    });
    expect(byPolicy).toMatchObject({
      metadata: { correlation_uid: 'scan-1' },
      comment: expect.stringContaining('onActiveThreat: pause'),
    });
    const { outcome: _, ...open } = vmAction({ kind: 'api', name: 'x', role: 'admin' });
    expect(() => vmActionEvent(open, 'web-1')).toThrow(TypeError);
  });
});

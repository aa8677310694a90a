/** Records as a scan leaves them behind, for tests of what shows them. */

import type { ScanProgress, ScanReport } from '../core/scan/report.ts';
import type { FindingRecord, VmRecord } from '../core/store/records.ts';
import { INSTRUCTION_NAMES } from '../protocol/index.ts';

const NOON = Date.UTC(2026, 10, 22, 12);
const AGENT = 'b6f1c2de-3f4a-4b5c-8d6e-7f8091a2b3c4';

export const vm = (): VmRecord => ({
  id: '4dea22b3-1d52-d8f3-2516-782e98ab3fa0',
  name: 'web-1',
  socket: '/run/web-1.sock',
  agentKey: 'ab'.repeat(32),
  login: { type: 'login', protocol: [1], agent: { id: AGENT, version: '0.1.0' }, bootId: AGENT },
  epoch: 3,
  enrolledAt: NOON - 1000,
  lastSeen: NOON,
  features: {
    versions: ['1.0'],
    profiles: ['er'],
    pairs: { query: ['features', 'files', 'content', 'processes'], stop: ['process'] },
    'x-lazaret': {
      os: { id: 'debian', version: '12', name: 'Debian GNU/Linux 12', kernel: '6.1.0', arch: 'x86_64' },
      init: 'systemd',
      clock: NOON,
      packageManager: 'apt',
      privileges: { uid: 0, root: true },
      fileSystems: [{ path: '/', type: 'ext4' }],
      denied: ['delete:file'],
      limits: { stagedBytes: 2 ** 20, contentFiles: 1024 },
    },
  },
  instructionSet: {
    id: 'set-1',
    instructions: INSTRUCTION_NAMES.filter((name) => name.startsWith('query:') || name === 'stop:process'),
    withheld: [
      { instruction: 'contain:file', reason: 'not-offered' },
      { instruction: 'delete:file', reason: 'denied-by-guest' },
    ],
  },
});

const judged = (): Omit<FindingRecord, 'id' | 'subject' | 'detections' | 'response'> => ({
  vm: vm().id,
  scan: 'scan-1',
  firstSeen: NOON,
  lastSeen: NOON,
  judgement: 'malicious',
});

export const finding = (): FindingRecord => ({
  ...judged(),
  id: 'finding-1',
  subject: { kind: 'file', path: '/tmp/eicar.com', sha256: 'cd'.repeat(32), size: 68 },
  detections: [
    { detector: 'yara', judgement: 'malicious', name: 'EICAR_Test', source: 'eicar.yar' },
    { detector: 'hashset', judgement: 'malicious', name: 'eicar' },
  ],
  response: 'contained',
  reason: 'as policy has it',
});

export const processFinding = (): FindingRecord => ({
  ...judged(),
  id: 'finding-2',
  judgement: 'suspicious',
  subject: { kind: 'process', pid: 4711, start: '99', uid: 0, name: 'x', executable: '/tmp/.x' },
  detections: [{ detector: 'process-origin', judgement: 'suspicious', name: 'deleted executable' }],
  response: 'stopped',
});

export const report = (): ScanReport => ({
  vm: vm(),
  scan: {
    id: 'scan-1',
    vm: vm().id,
    mode: 'contain',
    dryRun: false,
    trigger: 'manual',
    startedAt: NOON,
    finishedAt: NOON + 2000,
    state: 'finished',
    summary: {
      files: 1234,
      bytes: 200 * 2 ** 20,
      unchanged: 0,
      claimed: 0,
      processes: 80,
      malicious: 1,
      suspicious: 1,
      unscanned: { 'too-large': 7 },
    },
  },
  findings: [finding(), processFinding()],
  unscanned: [{ path: '/big.iso', reason: 'too-large', detail: '9 GiB' }],
  leftOut: [{ path: '/mnt/nas', type: 'nfs4' }],
  problems: [{ detector: 'yara', file: 'bad.yar', line: 12, message: 'syntax error' }],
  plan: {
    steps: [
      {
        finding: 'finding-1',
        remediation: 'contain-file',
        step: {
          stage: 'remove',
          instruction: 'contain:file',
          target: { path: '/tmp/eicar.com', dev: '1', ino: '2', sha256: 'cd'.repeat(32) },
        },
      },
    ],
    withheld: [{ finding: 'finding-2', reason: 'the guest offers no stop:process' }],
  },
});

export const cleanReport = (): ScanReport => ({
  ...report(),
  scan: {
    ...report().scan,
    summary: {
      files: 10,
      bytes: 1024,
      unchanged: 0,
      claimed: 0,
      processes: 2,
      malicious: 0,
      suspicious: 0,
      unscanned: {},
    },
  },
  findings: [],
  unscanned: [],
  leftOut: [],
  problems: [],
  plan: { steps: [], withheld: [] },
});

export const progress = (): ScanProgress => ({
  phase: 'scanning',
  filesListed: 2000,
  bytesListed: 400 * 2 ** 20,
  filesDone: 500,
  bytesDone: 100 * 2 ** 20,
  listingComplete: true,
  found: 1,
  unscanned: 0,
});

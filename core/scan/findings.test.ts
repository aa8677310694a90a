import { describe, expect, it } from 'vitest';
import { GuestPath } from '../../protocol/index.ts';
import { fileFinding, isFound, processFinding } from './findings.ts';
import type { RunningProcess } from './processes.ts';

const circumstances = { vm: 'vm-1', scan: 'scan-1', at: 1000 };
const verdict = {
  state: 'malicious',
  detections: [{ judgement: 'malicious', name: 'Evil', detector: 'evil' }],
} as const;
const facts = { path: '/x', size: 1, mode: 0, uid: 0, gid: 0, mtime: '0.0' };
const opened = (sha256: string) => ({
  facts: { ...facts, dev: '5', ino: '6', size: 4, ctime: '0.0', links: 1 },
  content: {
    path: '/spool/1',
    size: 4,
    head: new Uint8Array(),
    digests: { sha256 },
    release: () => undefined,
  },
});
const file = (path: string, sha256 = 'aa', at = circumstances) =>
  fileFinding({ item: { path: GuestPath.of(path), facts }, opened: opened(sha256) }, verdict, [], at);
const running = (start = '77'): RunningProcess => ({
  type: 'process',
  pid: 9,
  parent: 1,
  start,
  uid: 3,
  name: 'x',
  commandLine: [],
  executable: { path: '/x', dev: '5', ino: '6', deleted: true, inMemory: false },
});

describe('the finding of a file', () => {
  it('names the file that was opened, not the one that was listed', () => {
    const { record, actionable } = file('/tmp/x');
    expect(record).toMatchObject({
      ...{ vm: 'vm-1', scan: 'scan-1', firstSeen: 1000, lastSeen: 1000, response: 'reported' },
      ...{ judgement: 'malicious', detections: verdict.detections },
      subject: { kind: 'file', path: '/tmp/x', sha256: 'aa', size: 4 },
    });
    expect(actionable).toMatchObject({
      ...{ id: record.id, kind: 'file', runBy: [] },
      file: { path: '/tmp/x', dev: '5', ino: '6', sha256: 'aa' },
    });
  });

  it('is the same in every scan, and another for another path, content or guest', () => {
    const { id } = file('/tmp/x').record;
    expect(file('/tmp/x', 'aa', { ...circumstances, scan: 'scan-2', at: 2000 }).record.id).toBe(id);
    const others = [
      file('/tmp/y'),
      file('/tmp/x', 'bb'),
      file('/tmp/x', 'aa', { ...circumstances, vm: 'vm-2' }),
    ];
    expect(new Set([id, ...others.map(({ record }) => record.id)]).size).toBe(4);
  });
});

describe('the finding of a process', () => {
  it('names the process by pid, start and executable', () => {
    const { record, actionable } = processFinding(running(), verdict, circumstances);
    expect(record.subject).toEqual({
      kind: 'process',
      pid: 9,
      start: '77',
      uid: 3,
      name: 'x',
      executable: '/x',
    });
    expect(actionable).toMatchObject({
      kind: 'process',
      process: { pid: 9, start: '77', executable: { dev: '5', ino: '6' } },
    });
  });

  it('says that the process sees other mounts than the guest, and in which container', () => {
    const container = { runtime: 'docker', id: 'db' };
    const within = { ...running(), namespace: 'foreign', container } as const;
    const { record } = processFinding(within, verdict, circumstances);
    expect(record.subject).toMatchObject({ namespace: 'foreign', container });
    const own = processFinding({ ...running(), namespace: 'own' }, verdict, circumstances);
    expect(own.record.subject).not.toHaveProperty('namespace');
  });

  it('is another for a process that came to the same pid later', () => {
    const [one, other] = [running('77'), running('78')].map((process) =>
      processFinding(process, verdict, circumstances),
    );
    expect(one?.record.id).not.toBe(other?.record.id);
  });
});

it('is made of what has detections, and of nothing else', () => {
  expect(isFound(verdict)).toBe(true);
  expect(isFound({ state: 'clean' })).toBe(false);
  expect(isFound({ state: 'unscanned', unfinished: { reason: 'grew' } })).toBe(false);
});

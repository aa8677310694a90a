import { describe, expect, it } from 'vitest';
import { evilDetector } from '../../test/scan/evil-detector.ts';
import { connected } from '../../test/scan/scripted-session.ts';
import { Detection } from './detect.ts';
import { executableItems, listProcesses, type RunningProcess, subjectOf, targetOf } from './processes.ts';

const signal = new AbortController().signal;

function process(pid: number, executable: Partial<RunningProcess['executable']> = {}): RunningProcess {
  return {
    ...bare(pid, 1),
    executable: { path: '/bin/x', dev: '1', ino: '2', deleted: false, inMemory: false, ...executable },
  };
}
const bare = (pid: number, parent: number) => ({
  type: 'process' as const,
  pid,
  parent,
  start: '5',
  uid: 7,
  name: 'x',
  commandLine: ['x\n', { b64: '/w==' }],
});

describe('the processes of a guest', () => {
  it('are those that run something; kernel threads are left out, and the untold are told', async () => {
    const { session } = connected({
      processes: [bare(1, 0), bare(2, 0), bare(30, 2), process(40), bare(50, 1)],
    });
    const { running, unreadable } = await listProcesses(session, signal);
    expect(running.map(({ pid }) => pid)).toEqual([40]);
    expect(unreadable.map(({ pid }) => pid)).toEqual([1, 50]);
  });

  it('are shown to detectors with their text escaped and what was found in them', () => {
    const found = [{ judgement: 'malicious', name: 'Evil' }] as const;
    expect(subjectOf(process(40, { path: { b64: '/2E=' }, deleted: true }), found)).toEqual({
      ...{ kind: 'process', id: '40@5', pid: 40, uid: 7, name: 'x', commandLine: ['x\\x0a', '\\xff'] },
      executable: { path: '\\xffa', deleted: true, inMemory: false, detections: found },
    });
    expect(subjectOf(process(40)).executable).not.toHaveProperty('detections');
    expect(targetOf(process(40))).toEqual({ pid: 40, start: '5', executable: { dev: '1', ino: '2' } });
  });
});

describe('executables to be read through their process', () => {
  const detection = new Detection([{ id: 'evil', detector: evilDetector() }]);

  it('are those without a name, each once', () => {
    const items = executableItems(
      [
        process(1),
        process(2, { deleted: true, ino: '3' }),
        process(3, { deleted: true, ino: '3' }),
        process(4, { deleted: true, inMemory: true, ino: '4', path: '/memfd:x' }),
      ],
      detection,
    );
    expect(items.map(({ executable }) => executable.ino)).toEqual(['3', '4']);
    for (const { request } of items) expect(request).toMatchObject({ pid: expect.any(Number), start: '5' });
  });

  it('are none where no detector wants them', () => {
    const idle = new Detection([{ id: 'idle', detector: evilDetector({ wants: () => false }) }]);
    expect(executableItems([process(2, { deleted: true })], idle)).toEqual([]);
  });
});

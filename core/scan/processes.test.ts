import { describe, expect, it } from 'vitest';
import { evilDetector } from '../../test/scan/evil-detector.ts';
import { Detection } from './detect.ts';
import {
  executableItems,
  isKernelThread,
  isRunning,
  lengthOfText,
  type RunningProcess,
  shownPlace,
  subjectOf,
  targetOf,
} from './processes.ts';

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
  it('run something, or are threads of the kernel, or cannot be told', () => {
    const all = [bare(1, 0), bare(2, 0), bare(30, 2), process(40), bare(50, 1)];
    expect(all.filter(isRunning).map(({ pid }) => pid)).toEqual([40]);
    expect(all.filter(isKernelThread).map(({ pid }) => pid)).toEqual([2, 30]);
  });

  it('are threads of the kernel where the agent says so, whoever their parent is', () => {
    expect(isKernelThread({ ...bare(30, 7), kernelThread: true })).toBe(true);
    expect(isKernelThread({ ...bare(2, 0), kernelThread: false })).toBe(false);
    // A program that the kernel started, or one below the second process of a namespace of pids.
    expect(isKernelThread({ ...process(30), parent: 2 })).toBe(false);
    expect(isKernelThread({ ...process(30), parent: 2, kernelThread: true })).toBe(false);
  });

  it('tell of themselves so many characters', () => {
    expect(lengthOfText(process(40))).toBe('x'.length + '/bin/x'.length + 'x\n'.length + 1);
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

describe('the place of an executable that the guest itself does not have', () => {
  it('is its container or, where none is known, its namespace', () => {
    expect(shownPlace(process(1))).toBe('in a mount namespace of its own');
    const container = { runtime: 'docker', id: 'db\u001b[2J' };
    expect(shownPlace({ ...process(1), container })).toBe('in the container db\\x1b[2J (docker)');
    expect(subjectOf({ ...process(1), container })).toMatchObject({
      container: { runtime: 'docker', id: 'db\\x1b[2J' },
    });
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

  it('are those too that stand in a namespace of their own, and not those that stand where they say', () => {
    const running = [
      process(1, { placed: true, ino: '3' }),
      process(2, { placed: false, ino: '4' }),
      process(3, { placed: false, ino: '4' }),
      process(4, { ino: '5' }),
    ];
    const items = executableItems(running, detection);
    expect(items.map(({ executable }) => executable.ino)).toEqual(['4']);
  });

  it('are none where no detector wants them', () => {
    const idle = new Detection([{ id: 'idle', detector: evilDetector({ wants: () => false }) }]);
    expect(executableItems([process(2, { deleted: true })], idle)).toEqual([]);
  });
});

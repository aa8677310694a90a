import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INSTRUCTION_NAMES, type ProcessLine } from '../../protocol/index.ts';
import { connected } from '../../test/scan/scripted-session.ts';
import { inodeKey } from './processes.ts';
import { Runners } from './runners.ts';

type Process = Extract<ProcessLine, { type: 'process' }>;

const { signal } = new AbortController();
const MOST = '18446744073709551615';

function runs(pid: number, start: string, dev: string, ino: string): Process {
  const executable = { path: '/x', dev, ino, deleted: false, inMemory: false };
  return { type: 'process', pid, parent: 1, start, uid: 0, name: 'x', commandLine: [], executable };
}

describe('who runs a file', () => {
  const { executable: _, ...thread } = runs(2, '1', '0', '0');
  const processes = [thread, runs(7, '5', '1', '2'), runs(8, MOST, '1', '2'), runs(9, '5', '2', '2')];

  it('is told by device and inode, and asked for once', async () => {
    const guest = connected({ processes });
    const observed: number[] = [];
    const runners = new Runners(guest, ({ pid }) => observed.push(pid));
    expect(await runners.of([], signal)).toEqual(new Map());
    expect(guest.session.processListings).toBe(0);
    const executable = { dev: '1', ino: '2' };
    const expected = [
      { pid: 7, start: '5', executable },
      { pid: 8, start: MOST, executable },
    ];
    for (const other of ['3', '4']) {
      const found = await runners.of([executable, { dev: '1', ino: other }], signal);
      expect(found).toEqual(new Map([[inodeKey(executable), expected]]));
    }
    expect(guest.session.processListings).toBe(1);
    expect(observed).toEqual([2, 7, 8, 9]);
  });

  it('is not asked for where the guest does not grant it', async () => {
    const instructions = INSTRUCTION_NAMES.filter((name) => name !== 'query:processes');
    const guest = connected({ processes, instructions });
    const runners = new Runners(guest, () => undefined);
    expect(await runners.of([{ dev: '1', ino: '2' }], signal)).toEqual(new Map());
    expect(guest.session.processListings).toBe(0);
  });

  it('is everyone that the list has with it, whatever the numbers', async () => {
    const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    const process = fc.tuple(fc.nat(0xffff_ffff), uint64, fc.constantFrom('1', MOST), uint64);
    await fc.assert(
      fc.asyncProperty(fc.array(process, { minLength: 1, maxLength: 20 }), async (list) => {
        const guest = connected({ processes: list.map((each) => runs(...each)) });
        const files = list.map(([, , dev, ino]) => ({ dev, ino }));
        const found = await new Runners(guest, () => undefined).of(files, signal);
        for (const [pid, start, dev, ino] of list) {
          const executable = { dev, ino };
          expect(found.get(inodeKey(executable))).toContainEqual({ pid, start, executable });
        }
      }),
    );
  });
});

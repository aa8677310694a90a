/** The processes of a scripted guest, judged as they come. */
import { describe, expect, it } from 'vitest';
import processOrigin from '../../plugins/detectors/process-origin/index.ts';
import type { ProcessLine } from '../../protocol/index.ts';
import { ScriptedScan, type ScriptedScanOptions } from '../../test/scan/scripted-scan.ts';
import { DEVICE, inodeOf, type Script } from '../../test/scan/scripted-session.ts';
import { forThisTest } from '../../test/scan/setting.ts';
import { ChannelError } from '../channel/error.ts';
import type { ListedProcess } from '../channel/session.ts';

type Process = Extract<ProcessLine, { type: 'process' }>;

const scanOf = async (script: Script, options: ScriptedScanOptions = {}): Promise<ScriptedScan> =>
  forThisTest(await ScriptedScan.of(script, { others: [processOrigin], ...options }));

/** A process whose executable has no name, or whatever `executable` says. */
function nameless(pid: number, executable: Partial<NonNullable<Process['executable']>> = {}): Process {
  const path = `/tmp/x${pid}`;
  const inode = { path, dev: DEVICE, ino: String(pid), deleted: true, inMemory: false, placed: true };
  const told = { pid, parent: 1, start: '5', uid: 0, name: 'x', commandLine: [] };
  return { type: 'process', ...told, executable: { ...inode, ...executable } };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 100);

describe('the processes of a guest', () => {
  it('are listed once for all files that are found malicious, and once to be judged', async () => {
    const files = upTo(150).map((number) => ({ path: `/tmp/${number}`, content: `evil ${number}` }));
    const runs = ({ path }: { path: string }, index: number): Process =>
      nameless(index + 1000, { path, ino: inodeOf(path), deleted: false });
    const scan = await scanOf({ files, processes: files.map(runs) });
    const { findings } = await scan.run({ mode: 'contain' });
    expect(scan.session.processListings).toBe(2);
    const stopped = scan.session.commands.filter(({ instruction }) => instruction.name === 'stop:process');
    expect(new Set(stopped.map(({ instruction }) => JSON.stringify(instruction.target))).size).toBe(150);
    expect(findings.filter(({ response }) => response === 'contained')).toHaveLength(150);
  });

  it('are listed once where nothing is malicious', async () => {
    const scan = await scanOf({ files: [{ path: '/good', content: 'good' }], processes: [nameless(7)] });
    await scan.run({ mode: 'contain' });
    expect(scan.session.processListings).toBe(1);
  });

  it('are judged a batch at a time: no more are asked for before those that came were answered', async () => {
    const listed: number[] = [];
    const judgedThen: number[] = [];
    const scan: ScriptedScan = await scanOf({
      *processLines(): Generator<ListedProcess> {
        for (const pid of upTo(400)) {
          listed.push(pid);
          judgedThen.push(scan.events.length);
          yield nameless(pid);
        }
        yield { type: 'end', processes: 400 };
      },
    });
    const { scan: record } = await scan.run();
    expect(record.summary).toMatchObject({ processes: 400, suspicious: 400 });
    expect(Math.max(...listed.map((_, index) => index - (judgedThen[index] ?? 0)))).toBeLessThan(200);
  });

  it('share executables, each of which is read once in all of the scan', async () => {
    const processes = upTo(600).map((pid) => nameless(pid, { ino: String(pid % 3) }));
    const executables = Object.fromEntries(processes.map(({ pid }) => [pid, 'evil']));
    const scan = await scanOf({ processes, executables });
    const { scan: record } = await scan.run();
    expect(scan.session.requests.flatMap(({ files }) => files)).toHaveLength(3);
    expect(record.summary).toMatchObject({ processes: 600, malicious: 600 });
  });
});

describe('what is not known of processes', () => {
  async function unscannedOf(lines: ListedProcess[]) {
    const scan = await scanOf({ processLines: () => lines });
    const { unscanned, scan: record } = await scan.run();
    expect(record.state).toBe('finished');
    return unscanned;
  }
  const end = { type: 'end', processes: 1 } as const;

  it.each(['processes', 'bytes'] as const)(
    'is said where the list ends at its limit of %s',
    async (limit) => {
      expect(await unscannedOf([nameless(7, { deleted: false }), { ...end, limit }])).toEqual([
        {
          path: 'all other processes',
          reason: 'engine-limit',
          detail: expect.stringMatching(/limit of \d+( bytes)?; the rest was not seen$/),
        },
      ]);
    },
  );

  it('is said of a line that breaks the contract, while the others are judged', async () => {
    const odd = { type: 'fault', detail: 'its line is odd' } as const;
    expect(await unscannedOf([{ ...odd, pid: 9 }, odd, nameless(7, { deleted: false }), end])).toEqual([
      { path: 'process 9', reason: 'unreadable', detail: 'its line is odd' },
      { path: 'process ?', reason: 'unreadable', detail: 'its line is odd' },
    ]);
  });

  it('is said of arguments that were cut, and of an executable that cannot be told', async () => {
    const { executable: _, ...untold } = nameless(8);
    const lines = [{ ...nameless(7, { deleted: false }), cut: true }, untold, end];
    expect(await unscannedOf(lines)).toMatchObject([
      { path: 'process 8', reason: 'unreadable' },
      { path: 'process 7 x', reason: 'engine-limit', detail: expect.stringContaining('16384 bytes') },
    ]);
  });

  it('is nothing of threads of the kernel', async () => {
    const { executable: _, ...thread } = nameless(8);
    expect(await unscannedOf([{ ...thread, kernelThread: true }, end])).toEqual([]);
  });
});

describe('a session that is lost', () => {
  const lost = new ChannelError('session-lost', 'the agent was killed');

  it('ends the scan; what was found until then is kept', async () => {
    const scan = await scanOf({
      *processLines(): Generator<ListedProcess> {
        for (const pid of upTo(300)) yield nameless(pid);
        throw lost;
      },
    });
    await expect(scan.run()).rejects.toBe(lost);
    expect(scan.findings.list()).toHaveLength(300);
    expect(scan.scans.list()).toMatchObject([{ state: 'failed' }]);
    expect(scan.spool.bytesHeld).toBe(0);
  });
});

describe('an executable that only the namespace of its process has', () => {
  const foreign = { namespace: 'foreign', container: { runtime: 'docker', id: 'db' } } as const;
  const hidden = { ...nameless(7, { path: '/usr/bin/bash', deleted: false, placed: false }), ...foreign };

  it('is read through the process, which is stopped, told with its container and with what is left to do', async () => {
    const scan = await scanOf({ processes: [hidden], executables: { 7: 'evil' } });
    const { findings } = await scan.run({ mode: 'contain' });
    expect(findings).toMatchObject([
      {
        judgement: 'malicious',
        response: 'stopped',
        reason: expect.stringContaining('its file was not contained: it has no path in the guest itself'),
        subject: { executable: '/usr/bin/bash', ...foreign },
      },
    ]);
    expect(findings[0]?.reason).toContain('in the container db (docker)');
  });

  it('is only told in mode detect, and nothing at all where it is clean', async () => {
    const detected = await scanOf({ processes: [hidden], executables: { 7: 'evil' } });
    const { findings } = await detected.run();
    expect(findings).toMatchObject([{ response: 'reported' }]);
    expect(findings[0]?.reason).not.toContain('was not contained');
    const clean = await scanOf({ processes: [hidden], executables: { 7: 'good' } });
    expect((await clean.run({ mode: 'contain' })).findings).toEqual([]);
  });

  it('that cannot be read is told', async () => {
    const scan = await scanOf({ processes: [hidden] });
    const { unscanned } = await scan.run({ mode: 'contain' });
    expect(unscanned).toMatchObject([{ path: '/usr/bin/bash', reason: 'vanished' }]);
  });
});

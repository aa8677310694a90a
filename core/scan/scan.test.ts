/** The steps of a scan as they depend on one another, with a scripted guest. */
import { describe, expect, it } from 'vitest';
import { INSTRUCTION_NAMES, type ProcessLine } from '../../protocol/index.ts';
import { evilDetector } from '../../test/scan/evil-detector.ts';
import { ScriptedScan, type ScriptedScanOptions } from '../../test/scan/scripted-scan.ts';
import { DEVICE, inodeOf, type Script } from '../../test/scan/scripted-session.ts';
import { forThisTest } from '../../test/scan/setting.ts';

const scanOf = async (script: Script, options?: ScriptedScanOptions): Promise<ScriptedScan> =>
  forThisTest(await ScriptedScan.of(script, options));

const EVIL = { path: '/tmp/evil', content: 'evil' };

function process(pid: number, path: string, ino: string): Extract<ProcessLine, { type: 'process' }> {
  const executable = { path, dev: DEVICE, ino, deleted: false, inMemory: false };
  return { type: 'process', pid, parent: 1, start: '5', uid: 0, name: 'x', commandLine: [], executable };
}

const commandsOf = ({ session }: ScriptedScan) => session.commands.map(({ instruction }) => instruction.name);

describe('what was found in a file', () => {
  it('is held against a process that runs it while it is there', async () => {
    const processes = [process(7, '/tmp/other-name', inodeOf(EVIL.path))];
    const scan = await scanOf({ files: [EVIL], processes });
    const { findings } = await scan.run();
    expect(findings.map(({ subject }) => subject.kind)).toEqual(['file', 'process']);
  });

  it('is not held against a process that runs another file with the inode of one that was contained', async () => {
    const files = [EVIL];
    const processes: ReturnType<typeof process>[] = [];
    const scan = await scanOf({
      files,
      processes,
      send: async () => {
        processes.push(process(9, '/usr/bin/innocent', inodeOf(EVIL.path)));
        return { code: 'done' };
      },
    });
    const { findings } = await scan.run({ mode: 'contain' });
    expect(commandsOf(scan)).toEqual(['contain:file']);
    expect(findings).toHaveLength(1);
  });

  it('is still held against it when the file could not be taken', async () => {
    const processes: ReturnType<typeof process>[] = [];
    const scan = await scanOf({
      files: [EVIL],
      processes,
      send: async ({ instruction }) => {
        if (instruction.name === 'stop:process') return { code: 'done' };
        processes.push(process(9, EVIL.path, inodeOf(EVIL.path)));
        return { code: 'failed' };
      },
    });
    await scan.run({ mode: 'contain' });
    expect(commandsOf(scan)).toEqual(['contain:file', 'stop:process']);
  });
});

describe('what is asked of a guest', () => {
  it('is nothing that no detector wants', async () => {
    const detector = evilDetector({ wants: () => false });
    const scan = await scanOf({ files: [EVIL], processes: [process(7, '/x', '1')] }, { detector });
    const { scan: record } = await scan.run();
    expect(scan.session.requests).toEqual([]);
    expect(record.summary).toMatchObject({ files: 1, processes: 0 });
  });

  it('is nothing of processes that the instruction set does not have, and says so', async () => {
    const instructions = INSTRUCTION_NAMES.filter((name) => name !== 'query:processes');
    const scan = await scanOf({
      files: [EVIL],
      processes: [process(7, EVIL.path, inodeOf(EVIL.path))],
      instructions,
    });
    const { findings, scan: record } = await scan.run({ mode: 'contain' });
    expect(commandsOf(scan)).toEqual(['contain:file']);
    expect(findings).toHaveLength(1);
    expect(record.summary).toMatchObject({ processes: 0, unscanned: { unreadable: 1 } });
  });
});

it('tells how far it is, and ends with everything done', async () => {
  const files = Array.from({ length: 300 }, (_, number) => ({
    path: `/f${number}`,
    content: `fine ${number}`,
  }));
  const scan = await scanOf({ files: [...files, EVIL] });
  await scan.run({ mode: 'contain' });
  const done = scan.progress.map(({ filesDone }) => filesDone);
  expect(done).toEqual(done.toSorted((one, other) => one - other));
  expect(scan.progress.some(({ phase }) => phase === 'acting')).toBe(true);
  expect(scan.progress.at(-1)).toMatchObject({
    ...{ phase: 'finished', filesListed: 301, filesDone: 301, listingComplete: true, found: 1, unscanned: 0 },
  });
});

/** How findings are answered, in scans of a scripted guest. */
import { describe, expect, it } from 'vitest';
import { INSTRUCTION_NAMES, type Outcome, type ProcessLine } from '../../protocol/index.ts';
import { ScriptedScan, type ScriptedScanOptions } from '../../test/scan/scripted-scan.ts';
import { DEVICE, inodeOf, type Script } from '../../test/scan/scripted-session.ts';
import { forThisTest } from '../../test/scan/setting.ts';
import { ChannelError } from '../channel/error.ts';

const scanOf = async (script: Script, options?: ScriptedScanOptions): Promise<ScriptedScan> =>
  forThisTest(await ScriptedScan.of(script, options));

const EVIL = { path: '/tmp/evil', content: 'evil' };

function runs(pid: number, path: string): Extract<ProcessLine, { type: 'process' }> {
  const executable = { path, dev: DEVICE, ino: inodeOf(path), deleted: false, inMemory: false };
  return { type: 'process', pid, parent: 1, start: '5', uid: 0, name: 'x', commandLine: [], executable };
}

const commandsOf = ({ session }: ScriptedScan) => session.commands.map(({ instruction }) => instruction.name);

describe('a finding', () => {
  it('is answered in the order of its steps, by what it was when it was opened', async () => {
    const scan = await scanOf({ files: [EVIL], processes: [runs(7, EVIL.path), runs(8, '/bin/other')] });
    const { findings } = await scan.run({ mode: 'contain' });
    expect(scan.session.commands.map(({ instruction }) => instruction)).toMatchObject([
      { name: 'stop:process', target: { pid: 7, start: '5' } },
      { name: 'contain:file', target: { path: '/tmp/evil', dev: DEVICE, ino: inodeOf('/tmp/evil') } },
    ]);
    expect(findings.find(({ subject }) => subject.kind === 'file')).toMatchObject({ response: 'contained' });
  });

  it('is one of many of which the report names the first; all are in the records, and counted', async () => {
    const files = Array.from({ length: 1_500 }, (_, at) => ({ path: `/tmp/${at}`, content: `evil ${at}` }));
    const scan = await scanOf({ files });
    const { findings, plan, scan: record } = await scan.run({ mode: 'detect' });
    expect(record.summary).toMatchObject({ malicious: 1_500, suspicious: 0 });
    expect(findings.length).toBeLessThanOrEqual(1_000);
    const named = new Set(findings.map(({ id }) => id));
    expect(plan.withheld.every(({ finding }) => named.has(finding))).toBe(true);
    expect(scan.findings.countOf(record.id)).toEqual({ malicious: 1_500, suspicious: 0 });
  });

  it('is written down before anything is done about it, its intent before the guest hears of it', async () => {
    const seen: unknown[] = [];
    const scan: ScriptedScan = await scanOf({
      files: [EVIL],
      send: async ({ id }) => {
        seen.push(
          scan.findings.list().length,
          scan.journal.find(id)?.outcome,
          scan.journal.open(scan.journal.get(id).vm).length,
        );
        return { code: 'done' };
      },
    });
    await scan.run({ mode: 'contain' });
    expect(seen).toEqual([1, undefined, 1]);
  });

  it.each<Outcome['code']>(['changed', 'vanished', 'protected', 'failed', 'denied'])(
    'that the guest did not answer (%s) is failed, with what the guest said',
    async (code) => {
      const scan = await scanOf({ files: [EVIL], send: async () => ({ code, detail: 'so it is' }) });
      const { findings } = await scan.run({ mode: 'contain' });
      expect(findings).toMatchObject([
        { response: 'failed', reason: `the guest did not contain the file: ${code} (so it is)` },
      ]);
      expect(scan.events.find(({ class_uid }) => class_uid === 7002)).toBeDefined();
    },
  );

  it('is still contained when what runs it could not be stopped, and says so', async () => {
    const scan = await scanOf({
      files: [EVIL],
      processes: [runs(7, EVIL.path)],
      send: async ({ instruction }) => ({ code: instruction.name === 'stop:process' ? 'failed' : 'done' }),
    });
    const { findings } = await scan.run({ mode: 'contain' });
    expect(commandsOf(scan).slice(0, 2)).toEqual(['stop:process', 'contain:file']);
    expect(findings.find(({ subject }) => subject.kind === 'file')).toMatchObject({
      response: 'failed',
      reason: 'the guest did not stop the process: failed',
    });
  });

  it('whose answer did not come is unknown for now, its intent stays open, and nothing more is begun', async () => {
    const scan = await scanOf({
      files: [EVIL, { path: '/tmp/evil-too', content: 'evil, too' }],
      send: async () => {
        throw new ChannelError('silent', 'nothing came');
      },
    });
    await expect(scan.run({ mode: 'contain' })).rejects.toMatchObject({ code: 'silent' });
    const responses = scan.findings.list().map(({ response, reason }) => [response, reason]);
    expect(responses).toEqual(
      expect.arrayContaining([
        ['unknown', expect.stringContaining('asked again')],
        ['reported', undefined],
      ]),
    );
    expect(scan.journal.list()).toHaveLength(1);
    expect(scan.journal.list()[0]).not.toHaveProperty('outcome');
  });

  it('in a suspended guest is reported, with the reason, and nothing is sent', async () => {
    const scan = await scanOf({ files: [EVIL], processes: [runs(7, EVIL.path)], suspended: 'a clone of db' });
    const { findings, plan } = await scan.run({ mode: 'delete' });
    expect(plan.steps).toEqual([]);
    for (const { response, reason } of findings) {
      expect(response).toBe('reported');
      expect(reason).toMatch(/the guest is suspended.*: a clone of db/);
    }
    expect(findings.length).toBeGreaterThan(0);
    expect([commandsOf(scan), scan.journal.list()]).toEqual([[], []]);
  });

  it('that is suspicious only is left to a person', async () => {
    const scan = await scanOf({ files: [{ path: '/tmp/odd', content: 'odd' }] });
    const { findings } = await scan.run({ mode: 'delete' });
    expect(findings).toMatchObject([{ judgement: 'suspicious', response: 'reported' }]);
    expect(commandsOf(scan)).toEqual([]);
  });
});

describe('before anything is done', () => {
  it('the places of protected files are listed, once', async () => {
    const scan = await scanOf({ files: [EVIL, { path: '/tmp/evil-2', content: 'evil evil' }] });
    await scan.run({ mode: 'contain' });
    const surveys = scan.session.listings.filter(({ survey }) => survey);
    const roots = surveys.flatMap((listing) => listing.roots);
    expect(roots).toEqual(expect.arrayContaining(['/usr/bin', '/boot', '/lib/modules']));
    expect(new Set(roots).size).toBe(roots.length);
    for (const { excludes } of surveys) expect(excludes).toEqual([]);
  });

  it('and not when nothing will be: in a guest without malware, or in mode detect', async () => {
    const clean = await scanOf({ files: [{ path: '/good', content: 'good' }] });
    await clean.run({ mode: 'contain' });
    expect(clean.session.listings).toHaveLength(1);
    const detect = await scanOf({ files: [EVIL] });
    await detect.run({ mode: 'detect' });
    expect(detect.session.listings).toHaveLength(1);
  });

  it('the processes that run protected files are known, and not stopped', async () => {
    const shell = { path: '/bin/bash', content: 'evil' };
    const scan = await scanOf({
      files: [shell],
      processes: [runs(7, '/bin/bash'), runs(1, '/tmp/evil')],
    });
    const { findings } = await scan.run({ mode: 'contain' });
    expect(findings.map(({ response }) => response)).toEqual(['reported', 'reported']);
    expect(commandsOf(scan)).toEqual([]);
  });
});

it('does nothing that the instruction set does not have', async () => {
  const instructions = INSTRUCTION_NAMES.filter((name) => name.startsWith('query:'));
  const scan = await scanOf({ files: [EVIL], processes: [runs(7, EVIL.path)], instructions });
  const { findings, plan } = await scan.run({ mode: 'delete' });
  expect(commandsOf(scan)).toEqual([]);
  expect(plan.steps).toEqual([]);
  expect(findings.map(({ response }) => response)).toEqual(['reported', 'reported']);
});

/** Through a whole scan: what starts malicious content is found with it, whichever is seen first. */
import { describe, expect, it } from 'vitest';
import { evilDetector } from '../../test/scan/evil-detector.ts';
import { ScriptedScan } from '../../test/scan/scripted-scan.ts';
import type { ScriptedFile } from '../../test/scan/scripted-session.ts';
import { forThisTest } from '../../test/scan/setting.ts';
import type { Answer, Detector, Subject } from '../api/index.ts';
import type { WantedFile } from './select.ts';
import { Starters } from './starters.ts';

/** Says of `starts PATH` that it does, of `shared PATH` that it does among other things. */
function startsDetector(): Detector {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const inner = evilDetector();
  async function* detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    for await (const answer of inner.detect(subjects, signal)) {
      const subject = subjects.find(({ id }) => id === answer.subject);
      const text = subject?.kind === 'file' ? readFileSync(subject.content, 'utf8') : '';
      const [, how, path] = /^(starts|shared) (\S+)/.exec(text) ?? [];
      if (path === undefined || !('detections' in answer)) yield answer;
      else {
        const start = { path, technique: 'T1543.002', line: 1, shared: how === 'shared' };
        yield { ...answer, starts: [start] };
      }
    }
  }
  return { ...inner, detect };
}

const scanOf = async (files: readonly ScriptedFile[]): Promise<ScriptedScan> =>
  forThisTest(await ScriptedScan.of({ files }, { detector: startsDetector() }));

const EVIL = { path: '/tmp/x', content: 'evil' };
const UNIT = { path: '/etc/systemd/system/x.service', content: 'starts /tmp/x' };
const TIMER = { path: '/etc/systemd/system/x.timer', content: `starts ${UNIT.path}` };
const CRONTAB = { path: '/etc/crontab', content: 'shared /tmp/x' };

it('what starts something is kept as long as there is room, and then counted', () => {
  const starters = new Starters(5_000);
  for (let number = 0; number < 1_000; number++) {
    const path = `/etc/cron.d/job-${number}`;
    const facts = { path, size: 1, mode: 0, uid: 0, gid: 0, mtime: '0.000000000' };
    const item = { facts } as WantedFile;
    const starts = [{ path: `/bin/tool-${number}`, technique: 'T1053.003' }];
    starters.note({ item, verdict: { state: 'clean' }, isKept: false, starts });
  }
  expect(starters.size).toBeGreaterThan(5);
  expect(starters.size + starters.cut).toBe(1_000);
});

describe('a file that starts something malicious', () => {
  it.each([
    ['before', [TIMER, UNIT, EVIL]],
    ['after', [EVIL, UNIT, TIMER]],
  ])('that is seen %s it is found and contained with it, through each step', async (_, files) => {
    const scan = await scanOf([...files, { path: '/etc/fine', content: 'starts /bin/true' }]);
    const { findings, scan: record } = await scan.run({ mode: 'contain' });
    const said = Object.fromEntries(
      findings.map(({ subject, judgement, detections, response }) => [
        subject.kind === 'file' ? subject.path : '',
        [judgement, detections.at(-1)?.name, response],
      ]),
    );
    expect(said).toEqual({
      [EVIL.path]: ['malicious', 'Evil', 'contained'],
      [UNIT.path]: ['malicious', 'starts Evil', 'contained'],
      [TIMER.path]: ['malicious', 'starts Evil', 'contained'],
    });
    expect(record.summary).toMatchObject({ files: 4, malicious: 3, unscanned: {} });
  });

  it('is planned for as what it turned out to be, though it was suspicious before', async () => {
    const scan = await scanOf([{ ...UNIT, content: 'starts /tmp/x\nodd' }, EVIL]);
    const { findings, plan } = await scan.run({ mode: 'contain' });
    const unit = findings.find(({ subject }) => subject.kind === 'file' && subject.path === UNIT.path);
    expect(unit).toMatchObject({ judgement: 'malicious', response: 'contained' });
    expect(plan.withheld).toEqual([]);
    expect(plan.steps).toHaveLength(2);
  });

  it('and other things is suspicious, and left in its place', async () => {
    const scan = await scanOf([CRONTAB, EVIL]);
    const { findings } = await scan.run({ mode: 'contain' });
    expect(findings).toMatchObject([
      { judgement: 'malicious', response: 'contained' },
      { judgement: 'suspicious', subject: { path: CRONTAB.path }, response: 'reported' },
    ]);
  });

  it('that is gone when it is to be looked at again is unscanned, never clean', async () => {
    const files: ScriptedFile[] = [UNIT, EVIL];
    const scan = await scanOf(files);
    scan.become({
      files,
      send: async () => {
        files.shift();
        return { code: 'done' };
      },
    });
    const { scan: record, unscanned } = await scan.run({ mode: 'contain' });
    expect(record.summary?.unscanned).toEqual({ vanished: 1 });
    expect(unscanned).toMatchObject([{ path: UNIT.path }]);
  });

  it('is found where that runs and its file is gone', async () => {
    const deleted = { path: '/tmp/x', dev: '2049', ino: '77', deleted: true, inMemory: false, placed: true };
    const running = {
      type: 'process',
      pid: 7,
      parent: 1,
      start: '5',
      uid: 0,
      name: 'x',
      commandLine: [],
    } as const;
    const scan = await scanOf([UNIT]);
    const processes = [{ ...running, commandLine: [], executable: deleted }];
    scan.become({ files: [UNIT], processes, executables: { 7: 'evil' } });
    const { findings } = await scan.run({ mode: 'contain' });
    expect(findings.map(({ subject }) => subject.kind)).toEqual(['process', 'file']);
    expect(findings[1]).toMatchObject({ judgement: 'malicious', response: 'contained' });
  });

  it('is found again in the next scan, though nothing of it changed', async () => {
    const scan = await scanOf([UNIT, EVIL]);
    await scan.run();
    scan.become({ files: [UNIT, EVIL] });
    expect((await scan.run()).findings).toHaveLength(2);
  });
});

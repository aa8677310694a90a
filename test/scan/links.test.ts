/** Names besides the one that was asked for: hard links of what is found, and roots that are symbolic links. */
import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderReport } from '../../core/cli/scan-report.ts';
import { plain } from '../../core/cli/style.ts';
import { FindingView } from '../../core/service/views.ts';
import { answersIn } from './engine.ts';
import { EICAR } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

const STYLE = { width: 200, paint: plain, dryRun: false };

describe('a file with another name outside of where was looked', () => {
  it('says that its content is still in the guest', async () => {
    const guest = await serve();
    const file = guest.plant('/srv/eicar.com', EICAR);
    mkdirSync(guest.at('/other'));
    for (const name of ['/srv/second', '/other/third']) linkSync(file, guest.at(name));
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain', root: '/srv' });
    expect(answersIn(report)).toEqual({ '/srv/eicar.com': 'contained', '/srv/second': 'contained' });
    for (const finding of [
      ...report.findings,
      ...engine.kept().findings.map((one) => FindingView.parse(one)),
    ]) {
      expect(finding.subject).toMatchObject({ names: { all: 3, found: 2 } });
    }
    expect(renderReport(report, STYLE)).toContain(
      'hard links: 2 of its 3 names were found; its content is still in the guest, under 1 other name: look at the whole guest',
    );
    expect(engine.events.map(({ status_detail: detail }) => detail)).toContainEqual(
      expect.stringContaining('2 of its 3 names were found'),
    );
    expect(guest.text('/other/third')).toBe(EICAR);
  });

  it('says nothing where all names were found, or there is one', async () => {
    const guest = await serve();
    const file = guest.plant('/srv/eicar.com', EICAR);
    guest.plant('/alone', EICAR);
    linkSync(file, guest.at('/second'));
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings.map(({ response }) => response)).toEqual(Array(3).fill('contained'));
    expect(renderReport(report, STYLE)).not.toContain('hard links');
    const names = report.findings.map(({ subject }) => 'names' in subject && subject.names);
    expect(names.filter(Boolean)).toEqual(Array(2).fill({ all: 2, found: 2 }));
  });
});

describe('a root that is a link', () => {
  it('is scanned where it leads, and acted upon there', async () => {
    const guest = await serve();
    guest.plant('/usr/bin/eicar.com', EICAR);
    guest.plant('/usr/bin/bash', EICAR);
    guest.plant('/usr/bin/own/x', EICAR);
    symlinkSync('usr/bin', guest.at('/bin'));
    const engine = await startEngine(guest, { policy: { excludes: ['/bin/own'] } });
    const report = await engine.scan({ mode: 'contain', root: '/bin' });
    expect(report.followed).toEqual([{ path: '/bin', target: '/usr/bin' }]);
    expect(answersIn(report)).toEqual({ '/usr/bin/eicar.com': 'contained', '/usr/bin/bash': 'reported' });
    expect(report.scan.summary?.unscanned).toEqual({});
    expect(renderReport(report, STYLE)).toContain('looked in  /usr/bin: /bin -> /usr/bin\n');
  });

  it('that leads nowhere is not clean', async () => {
    const guest = await serve();
    symlinkSync('nowhere', guest.at('/link'));
    const engine = await startEngine(guest);
    const report = await engine.scan({ root: '/link' });
    expect(report.unscanned).toMatchObject([{ path: '/link', reason: 'vanished' }]);
  });
});

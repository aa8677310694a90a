/** Whole scans of a guest in which nothing is done. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answersIn, type TestEngine } from './engine.ts';
import { EICAR, KNOWN_BY_HASH, MARKER, type ServedFolder } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

async function infected(): Promise<{ guest: ServedFolder; engine: TestEngine }> {
  const guest = await serve();
  guest.plant('/etc/motd', 'welcome\n');
  guest.plant('/tmp/eicar.com', EICAR);
  guest.plant('/srv/known', KNOWN_BY_HASH);
  guest.plant('/srv/marked', `# ${MARKER}\n`);
  return { guest, engine: await startEngine(guest) };
}

describe('a guest without malware', () => {
  it('is clean, and everything in it was looked at', async () => {
    const guest = await serve();
    guest.plant('/etc/motd', 'welcome\n');
    guest.plant('/srv/empty', '');
    guest.plant('/srv/large', Buffer.alloc(3_000_000, 'x'));
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings).toEqual([]);
    expect(report.scan).toMatchObject({
      state: 'finished',
      summary: { files: 3, bytes: 3_000_008, malicious: 0, suspicious: 0, unscanned: {} },
    });
    expect(engine.kept()).toMatchObject({ findings: [], actions: [], vault: [] });
    expect(engine.spooled()).toEqual([]);
  });
});

describe('mode detect', () => {
  it('reports what each detector found, and touches nothing', async () => {
    const { guest, engine } = await infected();
    const report = await engine.scan();
    expect(answersIn(report)).toEqual({
      '/tmp/eicar.com': 'reported',
      '/srv/known': 'reported',
      '/srv/marked': 'reported',
    });
    const detectors = report.findings.flatMap(({ detections }) => detections.map(({ name }) => name));
    expect(detectors.toSorted()).toEqual(['Scan_Test_Eicar', 'Scan_Test_Hash', 'Scan_Test_Marker']);
    for (const { judgement, reason } of report.findings) {
      expect(judgement).toBe('malicious');
      expect(reason).toContain('the mode is detect');
    }
    expect(report.scan.summary).toMatchObject({ files: 4, malicious: 3, unscanned: {} });
    expect(guest.text('/tmp/eicar.com')).toBe(EICAR);
    expect(engine.kept()).toMatchObject({ actions: [], vault: [] });
    expect(engine.spooled()).toEqual([]);
  });

  it('looks only where it is told to', async () => {
    const { engine } = await infected();
    expect(answersIn(await engine.scan({ root: '/tmp' }))).toEqual({ '/tmp/eicar.com': 'reported' });
  });

  it('keeps the id and the first time of what it meets again', async () => {
    const { engine } = await infected();
    const first = await engine.scan();
    const again = await engine.scan();
    const byId = new Map(first.findings.map((finding) => [finding.id, finding]));
    expect(again.findings).toHaveLength(3);
    for (const finding of again.findings) {
      expect(finding.firstSeen).toBe(byId.get(finding.id)?.firstSeen);
      expect(finding.scan).toBe(again.scan.id);
    }
    expect(engine.kept().findings).toHaveLength(3);
  });
});

describe('a dry run', () => {
  it('shows the plan and touches nothing', async () => {
    const { guest, engine } = await infected();
    const { plan, findings } = await engine.scan({ mode: 'contain', dryRun: true });
    const planned = plan.steps.map(({ finding, remediation, step }) => [
      finding,
      remediation,
      step.instruction,
    ]);
    expect(planned.toSorted()).toEqual(
      findings.map(({ id }) => [id, 'contain-file', 'contain:file']).toSorted(),
    );
    for (const { response, reason } of findings) {
      expect(response).toBe('reported');
      expect(reason).toContain('dry run');
    }
    expect(guest.text('/tmp/eicar.com')).toBe(EICAR);
    expect(guest.has('/srv/known')).toBe(true);
    expect(engine.kept()).toMatchObject({ actions: [], vault: [] });
    expect(existsSync(join(guest.directory, 'state', 'vault'))).toBe(false);
  });
});

describe('events', () => {
  it('tell all of a scan: its start, each finding before what was done about it, its end', async () => {
    const { engine } = await infected();
    const report = await engine.scan({ mode: 'contain' });
    const [start, ...others] = engine.events;
    const end = others.pop();
    expect(start).toMatchObject({ class_uid: 6007, activity_id: 1, scan: { uid: report.scan.id } });
    expect(end).toMatchObject({ class_uid: 6007, activity_id: 2, status_id: 1, num_detections: 3 });
    const found = others.filter(({ class_uid }) => class_uid === 2004);
    const done = others.filter(({ class_uid }) => class_uid === 7002);
    expect(found).toHaveLength(3);
    expect(done).toHaveLength(3);
    const { actions } = engine.kept();
    expect(done.map((event) => event.command_uid).toSorted()).toEqual(actions.map(({ id }) => id).toSorted());
    for (const { id } of report.findings) {
      const told = others.findIndex((event) => JSON.stringify(event.finding_info ?? {}).includes(id));
      const action = actions.find(({ finding }) => finding === id);
      const answered = others.findIndex(({ command_uid }) => command_uid === action?.id);
      expect(told).toBeGreaterThanOrEqual(0);
      expect(answered).toBeGreaterThan(told);
    }
  });
});

/** Whole scans of a guest in which nothing is done. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { OcsfEvent } from '../../core/events/sink.ts';
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
  it('tell all of a scan: its start, each finding, what was done about it, what became of it, its end', async () => {
    const { engine } = await infected();
    const report = await engine.scan({ mode: 'contain' });
    const [start, ...others] = engine.events;
    const end = others.pop();
    expect(start).toMatchObject({ class_uid: 6007, activity_id: 1, scan: { uid: report.scan.id } });
    expect(end).toMatchObject({ class_uid: 6007, activity_id: 2, status_id: 1, num_detections: 3 });
    expect(others).toHaveLength(9);
    const { actions } = engine.kept();
    for (const { id } of report.findings) {
      const command = actions.find(({ finding }) => finding === id)?.id;
      const story = others.filter((event) => event.command_uid === command || uidOf(event) === id);
      expect(story).toMatchObject([
        { class_uid: 2004, activity_id: 1, status: 'New' },
        { class_uid: 7002, activity_id: 1, status: 'Success' },
        { class_uid: 2004, activity_id: 2, status: 'Resolved', disposition: 'Quarantined' },
      ]);
    }
  });

  it('tell why a finding stands as it was reported', async () => {
    const { engine } = await infected();
    await engine.scan({ mode: 'contain', dryRun: true });
    const found = engine.events.filter(({ class_uid }) => class_uid === 2004);
    expect(found.map(({ status_detail }) => status_detail)).toEqual(
      expect.arrayContaining([undefined, expect.stringContaining('dry run')]),
    );
    expect(found).toHaveLength(6);
  });

  it('tell a finding once where nothing is to be done', async () => {
    const { engine } = await infected();
    await engine.scan();
    expect(engine.events.map(({ class_uid }) => class_uid)).toEqual([6007, 2004, 2004, 2004, 6007]);
  });
});

const uidOf = (event: OcsfEvent): unknown => (event.finding_info as { uid?: unknown } | undefined)?.uid;

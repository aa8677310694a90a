/** Processes: what runs a malicious file is stopped before the file is taken; what runs a file that is gone is read through the process. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { answersIn } from './engine.ts';
import { MARKER } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

describe('a malicious file that runs', () => {
  it('is stopped, then contained', async () => {
    const guest = await serve();
    guest.plantProgram('/opt/implant', MARKER);
    const children = [await guest.run('/opt/implant'), await guest.run('/opt/implant')];
    const gone = children.map((child) => once(child, 'exit'));
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(answersIn(report)).toEqual({ '/opt/implant': 'contained' });
    for (const [, signal] of await Promise.all(gone)) expect(signal).toBe('SIGKILL');
    expect(guest.has('/opt/implant')).toBe(false);
    expect(engine.kept().journal).toEqual([
      ...['intent stop:process', 'outcome done', 'intent stop:process', 'outcome done'],
      ...['intent contain:file', 'outcome done'],
    ]);
  });

  it('is told as a process too where nothing is done', async () => {
    const guest = await serve();
    guest.plantProgram('/opt/implant', MARKER);
    const child = await guest.run('/opt/implant');
    const engine = await startEngine(guest);
    const report = await engine.scan();
    expect(answersIn(report)).toEqual({ '/opt/implant': 'reported', [`process ${child.pid}`]: 'reported' });
    const process = report.findings.find(({ subject }) => subject.kind === 'process');
    expect(process).toMatchObject({
      judgement: 'malicious',
      detections: [{ detector: 'process-origin', name: 'runs Scan_Test_Marker' }],
    });
    expect(child.signalCode).toBeNull();
  });
});

describe('a process whose file was deleted', () => {
  it('is read through the process, found malicious and stopped', async () => {
    const guest = await serve();
    const file = guest.plantProgram('/tmp/.implant', MARKER);
    const child = await guest.run('/tmp/.implant');
    rmSync(file);
    const gone = once(child, 'exit');
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings).toMatchObject([
      {
        judgement: 'malicious',
        response: 'stopped',
        subject: { kind: 'process', pid: child.pid, executable: '/tmp/.implant' },
        detections: [{ name: 'executable-deleted' }, { name: 'runs Scan_Test_Marker' }],
      },
    ]);
    expect(await gone).toEqual([null, 'SIGKILL']);
    expect(engine.kept().journal).toEqual(['intent stop:process', 'outcome done']);
    expect(engine.spooled()).toEqual([]);
  });

  it('is suspicious, and left to run, when there is nothing malicious in it', async () => {
    const guest = await serve();
    const file = guest.plantProgram('/usr/local/bin/upgraded', 'harmless');
    const child = await guest.run('/usr/local/bin/upgraded');
    rmSync(file);
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'delete' });
    expect(report.findings).toMatchObject([
      { judgement: 'suspicious', response: 'reported', reason: expect.stringContaining('a person decides') },
    ]);
    expect(report.scan.summary).toMatchObject({ malicious: 0, suspicious: 1, unscanned: {} });
    expect(child.signalCode).toBeNull();
    expect(engine.kept().actions).toEqual([]);
  });
});

it('has nothing to say of a process that runs an ordinary file', async () => {
  const guest = await serve();
  guest.plantProgram('/usr/local/bin/worker', 'harmless');
  await guest.run('/usr/local/bin/worker');
  const engine = await startEngine(guest);
  const report = await engine.scan({ mode: 'contain' });
  expect(report.findings).toEqual([]);
  expect(report.scan.summary).toMatchObject({ files: 1, processes: 1 });
});

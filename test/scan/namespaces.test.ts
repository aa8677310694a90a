/** A user of the guest makes a mount namespace of his own, in which malware has the path of what is never touched. */
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MOUNT_NAMESPACES, RunningProgram } from '../../agent/testing/namespace.ts';
import { need } from '../need.ts';
import { answersIn } from './engine.ts';
import { MARKER, type ServedFolder } from './served-folder.ts';
import { forThisTest, serve, startEngine } from './setting.ts';

/** Malware in /tmp, and a clean shell and a clean service that it can be mounted over. */
async function infected(): Promise<ServedFolder> {
  const guest = await serve();
  guest.plantWaiting('/tmp/.x/evil', MARKER);
  guest.plantWaiting('/usr/bin/bash', 'a shell');
  guest.plantWaiting('/usr/bin/worker', 'a program that a service starts');
  guest.plant('/etc/systemd/system/work.service', '[Service]\nExecStart=/usr/bin/worker\n');
  return guest;
}

async function shadowed(guest: ServedFolder, place: string): Promise<RunningProgram> {
  const [evil, over] = ['/tmp/.x/evil', place].map((path) => guest.at(path).toString()) as [string, string];
  return forThisTest(await RunningProgram.runIn('mount --bind "$1" "$0"', over, evil));
}

describe.runIf(need(MOUNT_NAMESPACES))('malware that is mounted over a protected program', () => {
  it.each(['contain', 'delete'] as const)('is stopped, and its file taken away (%s)', async (mode) => {
    const guest = await infected();
    const { child } = await shadowed(guest, '/usr/bin/bash');
    const gone = once(child, 'exit');
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode });
    expect(answersIn(report)).toEqual({ '/tmp/.x/evil': mode === 'contain' ? 'contained' : 'deleted' });
    expect(await gone).toEqual([null, 'SIGKILL']);
    expect(guest.has('/usr/bin/bash')).toBe(true);
    expect(engine.kept().journal.slice(0, 2)).toEqual(['intent stop:process', 'outcome done']);
  });

  it('is stopped as well when its file is gone by then', async () => {
    const guest = await infected();
    const { child, pid } = await shadowed(guest, '/usr/bin/bash');
    rmSync(guest.at('/tmp/.x/evil'));
    const gone = once(child, 'exit');
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings).toMatchObject([
      {
        response: 'stopped',
        subject: { kind: 'process', pid, executable: '/usr/bin/bash', namespace: 'foreign' },
      },
    ]);
    expect(await gone).toEqual([null, 'SIGKILL']);
  });

  it('does not make the files malicious that start what it is mounted over', async () => {
    const guest = await infected();
    await shadowed(guest, '/usr/bin/worker');
    rmSync(guest.at('/tmp/.x/evil'));
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings.map(({ subject }) => subject.kind)).toEqual(['process']);
    expect(guest.has('/etc/systemd/system/work.service') && guest.has('/usr/bin/worker')).toBe(true);
  });
});

describe.runIf(need(MOUNT_NAMESPACES))('what only its own namespace has', () => {
  /** Runs a copy of a planted program from a file system of its own, as `/srv/program`. */
  async function hidden(guest: ServedFolder, program: string): Promise<RunningProgram> {
    mkdirSync(guest.at('/srv'));
    const [place, source, directory] = ['/srv/program', program, '/srv'].map((path) =>
      String(guest.at(path)),
    );
    const script = 'mount -t tmpfs x "$2"; cp "$1" "$0"';
    return forThisTest(
      await RunningProgram.runIn(script, place as string, source as string, directory as string),
    );
  }

  it('is read through its process and stopped, and the report says what is left to do', async () => {
    const guest = await infected();
    const { child, pid } = await hidden(guest, '/tmp/.x/evil');
    rmSync(guest.at('/tmp/.x/evil'));
    const gone = once(child, 'exit');
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings).toMatchObject([
      {
        judgement: 'malicious',
        response: 'stopped',
        reason: expect.stringContaining('only in a mount namespace of its own'),
        subject: { kind: 'process', pid, executable: '/srv/program', namespace: 'foreign' },
        detections: [{ name: 'runs Scan_Test_Marker' }],
      },
    ]);
    expect(await gone).toEqual([null, 'SIGKILL']);
    expect(engine.spooled()).toEqual([]);
  });

  it('is left alone where it is clean', async () => {
    const guest = await infected();
    const { child } = await hidden(guest, '/usr/bin/worker');
    rmSync(guest.at('/tmp/.x/evil'));
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings).toEqual([]);
    expect(report.scan.summary).toMatchObject({ processes: 1, unscanned: {} });
    expect(child.signalCode).toBeNull();
  });
});

/** Nothing on the never-touch list is acted upon, whatever was found in it (invariant I). */
import { linkSync, mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { elfFile } from '../elf-file.ts';
import { answersIn } from './engine.ts';
import { MARKER } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

describe.each(['contain', 'delete'] as const)('mode %s', (mode) => {
  it('reports a protected file and another name of it, and touches neither', async () => {
    const guest = await serve();
    const bash = guest.plantProgram('/usr/bin/bash', MARKER);
    mkdirSync(guest.at('/tmp'));
    linkSync(bash, guest.at('/tmp/innocent'));
    guest.plant('/tmp/guilty', MARKER);
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode });
    expect(answersIn(report)).toMatchObject({ '/usr/bin/bash': 'reported', '/tmp/innocent': 'reported' });
    expect(answersIn(report)['/tmp/guilty']).not.toBe('reported');
    for (const { subject, reason } of report.findings) {
      if ('path' in subject && subject.path !== '/tmp/guilty')
        expect(reason).toContain('never touched: it is a shell');
    }
    expect(guest.has('/usr/bin/bash') && guest.has('/tmp/innocent')).toBe(true);
    expect(engine.kept().actions).toHaveLength(1);
  });

  it('knows another name of a protected file though only that name is scanned', async () => {
    const guest = await serve();
    const bash = guest.plantProgram('/usr/bin/bash', MARKER);
    mkdirSync(guest.at('/tmp'));
    linkSync(bash, guest.at('/tmp/innocent'));
    const engine = await startEngine(guest);
    expect(answersIn(await engine.scan({ mode, root: '/tmp' }))).toEqual({ '/tmp/innocent': 'reported' });
    expect(guest.has('/tmp/innocent')).toBe(true);
    expect(engine.kept().actions).toEqual([]);
  });

  it('leaves alone what a protected program is linked with, and nothing else', async () => {
    const guest = await serve();
    guest.plant('/bin/bash', elfFile({ needs: ['libtinfo.so.6'] }), 0o755);
    guest.plant('/lib/libtinfo.so.6', elfFile({ tail: MARKER }));
    guest.plant('/lib/libother.so.6', elfFile({ tail: MARKER }));
    guest.plant('/home/user/libtinfo.so.6', elfFile({ tail: MARKER }));
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode });
    const answered = mode === 'contain' ? 'contained' : 'deleted';
    expect(answersIn(report)).toMatchObject({
      '/lib/libtinfo.so.6': 'reported',
      '/lib/libother.so.6': answered,
      '/home/user/libtinfo.so.6': answered,
    });
    const reasons = report.findings.map(({ reason }) => reason);
    expect(reasons).toContain('this file is never touched: it is what /bin/bash needs');
    expect(guest.has('/lib/libtinfo.so.6')).toBe(true);
  });

  it('does not stop what runs a protected file', async () => {
    const guest = await serve();
    guest.plantProgram('/usr/bin/bash', MARKER);
    const shell = await guest.run('/usr/bin/bash');
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode });
    expect(answersIn(report)).toEqual({
      '/usr/bin/bash': 'reported',
      [`process ${shell.pid}`]: 'reported',
    });
    expect(shell.signalCode).toBeNull();
    expect(engine.kept().actions).toEqual([]);
  });

  it('leaves alone what the operator protects, with all below it', async () => {
    const guest = await serve();
    guest.plant('/srv/vital/deep/file', MARKER);
    const engine = await startEngine(guest, { policy: { neverTouch: ['/srv/vital'] } });
    const report = await engine.scan({ mode });
    expect(report.findings).toMatchObject([
      { response: 'reported', reason: expect.stringContaining('protected by the operator') },
    ]);
    expect(guest.has('/srv/vital/deep/file')).toBe(true);
  });
});

/** A part of the guest that never answers costs that part alone: the real agent over a FUSE mount that hangs. */
import { describe, expect, it } from 'vitest';
import { HangingMount } from '../../agent/testing/hanging-mount.ts';
import { exitCodeOfReport } from '../../core/cli/scan-outcome.ts';
import { need } from '../need.ts';
import { answersIn } from './engine.ts';
import { KNOWN_BY_HASH, type ServedFolder } from './served-folder.ts';
import { forThisTest, serve, startEngine } from './setting.ts';

const canMount = need(await HangingMount.need());

async function guestWithMount(mode: 'dead' | 'read'): Promise<ServedFolder> {
  const guest = await serve();
  guest.plant('/bin/known', KNOWN_BY_HASH);
  guest.plant('/srv/known', KNOWN_BY_HASH);
  forThisTest(await HangingMount.at(guest.at('/mnt').toString(), mode));
  return guest;
}

describe.runIf(canMount)('a mount in the guest that never answers', () => {
  it('is left out by default, is said to be, and spoils nothing', async () => {
    const guest = await guestWithMount('dead');
    const engine = await startEngine(guest);
    const report = await engine.scan();
    expect(answersIn(report)).toEqual({ '/bin/known': 'reported', '/srv/known': 'reported' });
    expect(report.leftOut).toEqual([{ path: '/mnt', type: 'fuse.lazaret-test' }]);
    expect(report.unscanned).toEqual([]);
    expect(exitCodeOfReport(report)).toBe(1);
    expect(engine.events.at(-1)).toMatchObject({
      status: 'Success',
      unmapped: { left_out_file_systems: [{ path: '/mnt', type: 'fuse.lazaret-test' }] },
    });
  });

  it('is unscanned and named where policy asks for it; all else is scanned, more than once', async () => {
    const guest = await guestWithMount('dead');
    const engine = await startEngine(guest, { policy: { fileSystems: ['local', 'fuse'] } });
    for (const _ of [1, 2]) {
      const report = await engine.scan();
      expect(answersIn(report)).toEqual({ '/bin/known': 'reported', '/srv/known': 'reported' });
      expect(report.unscanned).toMatchObject([
        { path: '/mnt', reason: 'unresponsive', detail: expect.stringContaining('fuse.lazaret-test') },
      ]);
      expect(report.leftOut).toEqual([]);
      expect(exitCodeOfReport(report)).toBe(2);
    }
    expect(await guest.endAgent()).toEqual({ code: 0, signal: null });
  });

  it('costs each of its files its content alone', async () => {
    const guest = await guestWithMount('read');
    const engine = await startEngine(guest, { policy: { fileSystems: ['local', 'fuse'] } });
    const report = await engine.scan({ mode: 'contain' });
    expect(answersIn(report)).toEqual({ '/bin/known': 'contained', '/srv/known': 'contained' });
    expect(report.scan.summary).toMatchObject({ files: 4, unscanned: { unresponsive: 2 } });
  });
});

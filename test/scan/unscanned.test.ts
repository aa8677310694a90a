/** What could not be looked at is unscanned with its reason, never clean (invariant D); and a scan that fails ends. */
import { describe, expect, it } from 'vitest';
import type { Answer } from '../../core/api/index.ts';
import { ChannelError } from '../../core/channel/error.ts';
import { ScanError, StoreError } from '../../core/error.ts';
import { contentFaults } from '../../protocol/index.ts';
import { evilDetector } from './evil-detector.ts';
import { ScriptedScan, type ScriptedScanOptions } from './scripted-scan.ts';
import type { Script, ScriptedFile } from './scripted-session.ts';
import { forThisTest } from './setting.ts';

const scanOf = async (script: Script, options?: ScriptedScanOptions): Promise<ScriptedScan> =>
  forThisTest(await ScriptedScan.of(script, options));

const GOOD: ScriptedFile = { path: '/good', content: 'good' };

describe('a file', () => {
  it.each(contentFaults)('that cannot be read (%s) is unscanned for that reason', async (fault) => {
    const scan = await scanOf({ files: [GOOD, { path: '/faulty', fault }] });
    const report = await scan.run({ mode: 'contain' });
    expect(report.unscanned).toEqual([{ path: '/faulty', reason: fault }]);
    expect(report.scan.summary).toMatchObject({ files: 2, unscanned: { [fault]: 1 } });
    expect(scan.spool.bytesHeld).toBe(0);
    expect(scan.events.at(-1)).toMatchObject({ status_id: 99, num_skipped_items: 1 });
  });

  it.each(['grew', 'shrank', 'io-error'] as const)(
    'that fails while it is read (%s) is dropped, evil or not',
    async (fault) => {
      const detector = evilDetector();
      const scan = await scanOf(
        { files: [{ path: '/half', content: 'evil evil evil', fault }] },
        { detector },
      );
      const report = await scan.run({ mode: 'contain' });
      expect(report.unscanned).toEqual([{ path: '/half', reason: fault }]);
      expect(report.findings).toEqual([]);
      expect(detector.shown).toEqual([]);
      expect(scan.spool.bytesHeld).toBe(0);
    },
  );

  it('that is too large is not even asked for', async () => {
    const scan = await scanOf(
      { files: [GOOD, { path: '/large', content: 'evil', size: 5000 }] },
      { policy: { maxFileBytes: 4999 } },
    );
    const report = await scan.run();
    expect(report.unscanned).toMatchObject([{ path: '/large', reason: 'too-large' }]);
    expect(scan.session.requests.flatMap(({ files }) => files)).toEqual([{ path: '/good' }]);
  });

  it('that became too large since it was listed is unscanned too', async () => {
    const scan = await scanOf(
      { files: [{ path: '/large', content: 'evil'.repeat(2000), size: 10 }] },
      { policy: { maxFileBytes: 4999 } },
    );
    expect((await scan.run()).unscanned).toEqual([{ path: '/large', reason: 'too-large' }]);
  });

  it('that would fill the spool does not stop the scan', async () => {
    const spoolBytes = 64 * 1024;
    const scan = await scanOf(
      {
        files: [
          { path: '/small', content: 'small' },
          { path: '/fits', content: 'x'.repeat(spoolBytes / 2) },
          { path: '/fills', content: 'evil'.padEnd(spoolBytes, 'x') },
          { path: '/evil', content: 'evil' },
        ],
      },
      { spoolBytes },
    );
    const report = await scan.run();
    expect(report.unscanned).toMatchObject([{ path: '/fills', reason: 'too-large' }]);
    expect(report.findings).toMatchObject([{ subject: { path: '/evil' } }]);
  });

  it.each(['no-answer', 'engine-failed'] as const)(
    'on which its detector has %s is unscanned',
    async (reason) => {
      async function* detect(): AsyncGenerator<Answer> {
        if (reason === 'engine-failed') throw new Error('it broke');
        yield* [];
      }
      const scan = await scanOf({ files: [GOOD] }, { detector: evilDetector({ detect }) });
      const report = await scan.run();
      expect(report.unscanned).toMatchObject([{ path: '/good', reason }]);
      expect(report.scan.summary?.unscanned).toEqual({ [reason]: 1 });
    },
  );
});

describe('a listing', () => {
  it('that met what it could not list says so', async () => {
    const scan = await scanOf({
      files: [GOOD],
      lines: [
        { type: 'fault', path: '/locked\n', fault: 'unreadable', detail: 'EACCES' },
        { type: 'fault', path: '/gone', fault: 'vanished', detail: 'ENOENT' },
      ],
    });
    expect((await scan.run()).unscanned).toEqual([
      { path: '/locked\\x0a', reason: 'unreadable', detail: 'EACCES' },
      { path: '/gone', reason: 'vanished', detail: 'ENOENT' },
    ]);
  });

  it.each(['entries', 'depth', 'time'] as const)(
    'that ended at its limit of %s does not leave a clean guest',
    async (limit) => {
      const scan = await scanOf({ files: [GOOD], limit });
      expect((await scan.run()).unscanned).toMatchObject([
        { path: '/', reason: 'engine-limit', detail: expect.stringContaining(limit) },
      ]);
    },
  );
});

describe('a process', () => {
  it('whose executable cannot be told is unscanned; kernel threads have none', async () => {
    const process = { type: 'process' as const, start: '1', uid: 0, name: 'x', commandLine: [] };
    const scan = await scanOf({
      processes: [
        { ...process, pid: 2, parent: 0 },
        { ...process, pid: 40, parent: 2 },
        { ...process, pid: 41, parent: 1 },
      ],
    });
    const report = await scan.run();
    expect(report.unscanned).toMatchObject([{ path: 'process 41', reason: 'unreadable' }]);
  });

  it('whose deleted executable cannot be read is unscanned', async () => {
    const executable = { path: '/tmp/x', dev: '1', ino: '9', deleted: true, inMemory: false };
    const scan = await scanOf({
      processes: [
        { type: 'process', pid: 50, parent: 1, start: '7', uid: 0, name: 'x', commandLine: [], executable },
      ],
    });
    const report = await scan.run();
    expect(scan.session.requests).toMatchObject([{ files: [{ pid: 50, start: '7' }] }]);
    expect(report.unscanned).toEqual([{ path: '/tmp/x', reason: 'vanished' }]);
  });
});

describe('a scan that fails', () => {
  const EVILS = Array.from({ length: 60 }, (_, number) => ({
    path: `/evil-${number}`,
    content: `evil ${number} `.padEnd(16_000, 'x'),
  }));

  it('accounts for what the guest had not sent when the channel was lost', async () => {
    const script = {
      files: EVILS,
      beforeFile: (path: string) => {
        if (path === '/evil-20') throw new ChannelError('session-lost', 'cut');
      },
    };
    // Room for all of them in one request.
    const scan = await scanOf(script, { spoolBytes: 16 * 1024 * 1024 });
    await expect(scan.run()).rejects.toMatchObject({ code: 'session-lost' });
    const [record] = scan.scans.list();
    expect(record).toMatchObject({
      state: 'failed',
      summary: { malicious: 20, unscanned: { 'channel-lost': 40 } },
    });
    expect(scan.findings.list()).toHaveLength(20);
    expect(scan.events.at(-1)).toMatchObject({ activity_id: 6, status_detail: 'cut' });
    expect(scan.spool.bytesHeld).toBe(0);
  });

  it('ends when a finding cannot be kept, though the spool is full and nobody empties it', async () => {
    let told = 0;
    const scan = await scanOf(
      { files: EVILS },
      {
        spoolBytes: 64 * 1024,
        onEvent: ({ class_uid }) => {
          if (class_uid === 2004 && ++told === 2) throw new StoreError('write-failed', 'the disk is full');
        },
      },
    );
    await expect(scan.run()).rejects.toMatchObject({ code: 'write-failed' });
    expect(scan.scans.list()).toMatchObject([{ state: 'failed' }]);
    expect(scan.spool.bytesHeld).toBe(0);
  });

  it('does not stay on the record as running when not even its start could be told', async () => {
    const scan = await scanOf(
      {},
      {
        onEvent: () => {
          throw new StoreError('write-failed', 'the disk is full');
        },
      },
    );
    await expect(scan.run()).rejects.toMatchObject({ code: 'write-failed' });
    expect(scan.scans.list()).toMatchObject([{ state: 'failed' }]);
  });

  it('does not begin in a guest that may not be read', async () => {
    const scan = await scanOf({ instructions: ['query:files'] });
    await expect(scan.run()).rejects.toBeInstanceOf(ScanError);
    expect(scan.events).toEqual([]);
  });

  it('ends the work in the guest when it is cancelled', async () => {
    const stop = new AbortController();
    const signals: (AbortSignal | undefined)[] = [];
    const scan = await scanOf({
      files: EVILS,
      beforeFile: (path, signal) => {
        signals.push(signal);
        if (path === '/evil-30') stop.abort(new Error('interrupted'));
      },
    });
    await expect(scan.run({ mode: 'contain', signal: stop.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(signals).toHaveLength(31);
    expect(signals.every((signal) => signal?.aborted)).toBe(true);
    expect(scan.events.at(-1)).toMatchObject({ activity_id: 3 });
    expect(scan.spool.bytesHeld).toBe(0);
  });
});

/** A disk that takes no writes, at each place where a scan writes. On a real one: test/scan/full-disk.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { vm } from '../../test/records.ts';
import { ScriptedScan } from '../../test/scan/scripted-scan.ts';
import { forThisTest } from '../../test/scan/setting.ts';
import { defaults } from '../config/index.ts';
import { StoreError, type StoreErrorCode } from '../error.ts';
import { StateDatabase } from '../store/database.ts';
import { Known } from './known.ts';

const EVIL = { path: '/tmp/evil', content: 'evil' };
const OTHER = { path: '/tmp/other', content: 'evil, too' };

const fails =
  (code: StoreErrorCode = 'write-failed') =>
  (): never => {
    throw new StoreError(code, `it is ${code}: the disk is full`);
  };
const scanOf = async () => forThisTest(await ScriptedScan.of({ files: [EVIL, OTHER] }));
const commandsOf = ({ session }: ScriptedScan) => session.commands.map(({ instruction }) => instruction);

describe('a disk that is full', () => {
  it('costs the finding that it does not take: it is told as unscanned, not acted upon, and not counted as found', async () => {
    const scan = await scanOf();
    const { findings } = scan;
    const upsert = findings.upsert.bind(findings);
    findings.upsert = (record) =>
      record.subject.kind === 'file' && record.subject.path === EVIL.path ? fails()() : upsert(record);
    const report = await scan.run({ mode: 'contain' });
    expect(report.findings).toMatchObject([{ subject: { path: OTHER.path }, response: 'contained' }]);
    expect(report.scan.summary).toMatchObject({ malicious: 1, unscanned: { 'not-recorded': 1 } });
    expect(report.unscanned).toEqual([
      { path: EVIL.path, reason: 'not-recorded', detail: expect.stringContaining('malicious') },
    ]);
    expect(commandsOf(scan)).toMatchObject([{ name: 'contain:file', target: { path: OTHER.path } }]);
    expect(scan.events.filter(({ class_uid }) => class_uid === 2004)).toHaveLength(2);
  });

  it('that takes the finding and not its response says so of it', async () => {
    const scan = await scanOf();
    scan.findings.setResponse = fails();
    const report = await scan.run();
    expect(report.scan.summary?.unscanned).toEqual({ 'not-recorded': 2 });
    expect(scan.findings.list()).toMatchObject([{ response: 'reported' }, { response: 'reported' }]);
  });

  it('has the scan go on without a record; the record is there at the end if it can be by then', async () => {
    const scan = await scanOf();
    const begin = scan.scans.begin.bind(scan.scans);
    let tries = 0;
    scan.scans.begin = (begun) => (tries++ === 0 ? fails()() : begin(begun));
    const report = await scan.run();
    expect(report.problems).toEqual([]);
    expect(scan.scans.get(report.scan.id)).toMatchObject({ state: 'finished', summary: { malicious: 2 } });
  });

  it('until the end leaves the scan without a record, and the scan says so', async () => {
    const scan = await scanOf();
    scan.scans.begin = fails();
    const report = await scan.run();
    expect(report.scan).toMatchObject({ state: 'finished', summary: { malicious: 2 } });
    expect(report.problems).toMatchObject([{ message: expect.stringContaining('not on record') }]);
    expect(scan.scans.list()).toEqual([]);
  });

  it('keeps nothing of what is known, and everything is looked at', () => {
    const directory = mkdtempSync(join(tmpdir(), 'lazaret-known-'));
    const database = StateDatabase.open(directory);
    try {
      const known = new Known(database, defaults().policy.knownContent);
      const { features } = vm();
      if (!features) throw new Error('the record has features');
      const before = known.forScan('web', features, Buffer.from('g'), false);
      database.transaction = fails();
      const digests = { sha256: 'ab'.repeat(32), sha1: '', md5: '' };
      before.clean.keep({ digests, size: 1, head: Buffer.alloc(1) }, ['answer']);
      before.guest.end({ isComplete: true, isWhole: true });
      expect(known.forScan('web', features, Buffer.from('g'), false).guest).toMatchObject({
        takesClaims: false,
        digests: [],
      });
    } finally {
      database.close();
      rmSync(directory, { recursive: true });
    }
  });
});

it.each(['findings', 'scans'] as const)('damage to %s is no full disk: the scan ends', async (table) => {
  const scan = await scanOf();
  if (table === 'findings') scan.findings.upsert = fails('corrupt');
  else scan.scans.begin = fails('corrupt');
  await expect(scan.run()).rejects.toMatchObject({ code: 'corrupt' });
});

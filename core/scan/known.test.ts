/** What need not be fetched again, and what a guest that is believed must be held to. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { evilDetector } from '../../test/scan/evil-detector.ts';
import { ScriptedScan, type ScriptedScanOptions } from '../../test/scan/scripted-scan.ts';
import type { Script, ScriptedFile, ScriptedSession } from '../../test/scan/scripted-session.ts';
import { forThisTest } from '../../test/scan/setting.ts';
import type { Detector } from '../api/index.ts';
import { ChannelError } from '../channel/error.ts';
import { defaults } from '../config/index.ts';

const FINE: readonly ScriptedFile[] = [
  { path: '/bin/one', content: 'fine one' },
  { path: '/bin/two', content: 'fine two' },
  { path: '/etc/three', content: 'fine three' },
];
const EVIL: ScriptedFile = { path: '/tmp/evil', content: 'evil' };
/** Draws nothing that could be left out, and everything. */
const NEVER = () => 0.999_999;
const ALWAYS = () => 0;

const scanOf = async (script: Script, options?: ScriptedScanOptions): Promise<ScriptedScan> =>
  forThisTest(await ScriptedScan.of(script, { random: NEVER, ...options }));

const knownContent = (changes: Partial<ReturnType<typeof defaults>['policy']['knownContent']>) => ({
  policy: { knownContent: { ...defaults().policy.knownContent, auditShare: 0, ...changes } },
});
const UNAUDITED = knownContent({});
const ONE_OWNER = knownContent({ cloneLines: true });

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Paths that were fetched, over all requests of a session. */
const fetchedBy = ({ requests }: ScriptedSession): string[] =>
  requests.flatMap(({ files }) => files.map((file) => ('path' in file ? String(file.path) : '')));

describe('a guest that was scanned before', () => {
  it('is told of no more lines than its host has room for, and then sends the rest', async () => {
    const scan = await scanOf({ files: [...FINE, EVIL] }, { ...UNAUDITED, mostLines: 2 });
    await scan.run();
    expect(scan.linesHeld).toBe(0);
    const session = scan.become({ files: [...FINE, EVIL] });
    const listing = Promise.withResolvers<number>();
    const { listFiles } = session;
    session.listFiles = (...given) => {
      listing.resolve(scan.linesHeld);
      return listFiles.apply(session, given);
    };
    const { scan: record, findings } = await scan.run();
    expect(await listing.promise).toBe(2);
    expect(record.summary).toMatchObject({ files: 4, unchanged: 3 });
    expect(findings).toHaveLength(1);
    expect(scan.linesHeld).toBe(0);
  });

  it('is asked for nothing that did not change; what was found is looked at again', async () => {
    const scan = await scanOf({ files: [...FINE, EVIL] }, UNAUDITED);
    const first = await scan.run();
    expect(first.scan.summary).toMatchObject({ files: 4, unchanged: 0, malicious: 1 });
    const session = scan.become({ files: [...FINE, EVIL] });
    const { scan: record, findings } = await scan.run();
    expect(session.told[0]).toHaveLength(3);
    expect(fetchedBy(session)).toEqual(['/tmp/evil']);
    expect(findings).toHaveLength(1);
    expect(record.summary).toMatchObject({ files: 4, unchanged: 3, claimed: 0, malicious: 1, unscanned: {} });
  });

  it.each([
    ['size', { content: 'fine one, longer' }],
    ['inode', { ino: '99' }],
    ['ctime', { ctime: '1700000001.000000000' }],
  ])('is asked for a file with another %s, and for nothing else', async (_, change) => {
    const scan = await scanOf({ files: FINE }, knownContent({ agentHashes: false }));
    await scan.run();
    const [one, ...others] = FINE as [ScriptedFile, ...ScriptedFile[]];
    const session = scan.become({ files: [{ ...one, ...change }, ...others] });
    await scan.run();
    expect(fetchedBy(session)).toEqual(['/bin/one']);
  });

  it('is asked for all when nothing that is known shall count, and again for nothing after that', async () => {
    const scan = await scanOf({ files: FINE }, UNAUDITED);
    await scan.run();
    const fresh = scan.become({ files: FINE });
    await scan.run({ fresh: true });
    expect(fresh.told).toEqual([[]]);
    expect(fetchedBy(fresh)).toHaveLength(3);
    const after = scan.become({ files: FINE });
    await scan.run();
    expect(fetchedBy(after)).toEqual([]);
  });

  it('goes on where a scan was cut off', async () => {
    let answered = 0;
    const many = Array.from({ length: 1200 }, (_, number) => ({
      path: `/f${number}`,
      content: `fine ${number}`,
    }));
    const script: Script = {
      files: many,
      beforeFile: () => {
        if (++answered > 1024) throw new ChannelError('session-lost', 'cut');
      },
    };
    const scan = await scanOf(script, UNAUDITED);
    await expect(scan.run()).rejects.toMatchObject({ code: 'session-lost' });
    const session = scan.become({ files: many });
    const { scan: record } = await scan.run();
    expect(fetchedBy(session).length).toBeLessThanOrEqual(1200 - 1024 + 1);
    expect(record.summary).toMatchObject({ files: 1200, unscanned: {} });
  });

  it('forgets files that are gone, when the whole guest was listed', async () => {
    const scan = await scanOf({ files: FINE }, UNAUDITED);
    await scan.run();
    scan.become({ files: FINE.slice(0, 2) });
    await scan.run();
    const session = scan.become({ files: FINE });
    await scan.run();
    expect(session.told[0]).toHaveLength(2);
  });

  it('forgets nothing when the listing was cut short', async () => {
    const scan = await scanOf({ files: FINE }, UNAUDITED);
    await scan.run();
    scan.become({ files: FINE.slice(0, 2), limit: 'time' });
    await scan.run();
    const session = scan.become({ files: FINE });
    await scan.run();
    expect(session.told[0]).toHaveLength(3);
  });
});

describe('what is not kept as unchanged', () => {
  it.each([
    ['on a file system whose times say nothing', { fileSystem: 'tmpfs' }, FINE],
    ['that changed a moment ago', {}, FINE.map((file) => ({ ...file, ctime: '9999999999.000000000' }))],
  ])('is a file %s', async (_, script, files) => {
    const scan = await scanOf({ files, ...script }, knownContent({ agentHashes: false }));
    await scan.run();
    const session = scan.become({ files, ...script });
    await scan.run();
    expect(session.told).toEqual([[]]);
    expect(fetchedBy(session)).toHaveLength(3);
  });

  it('is anything, when policy does not let it be remembered', async () => {
    const scan = await scanOf({ files: FINE }, knownContent({ remember: false }));
    await scan.run();
    const session = scan.become({ files: FINE });
    await scan.run();
    expect(fetchedBy(session)).toHaveLength(3);
  });

  it('is what a detector did not finish with', async () => {
    const failing = evilDetector({
      async *detect(subjects) {
        for (const { id } of subjects) yield { subject: id, unscanned: 'engine-limit' };
      },
    });
    const scan = await scanOf({ files: FINE }, { detector: failing, ...UNAUDITED });
    const { scan: record } = await scan.run();
    expect(record.summary?.unscanned).toEqual({ 'engine-limit': 3 });
    await scan.detectWith(evilDetector());
    const session = scan.become({ files: FINE });
    await scan.run();
    expect(fetchedBy(session)).toHaveLength(3);
  });
});

describe('new signatures', () => {
  const engine = (signatures: string) => ({ name: 'evil', version: '1', signatures, signatureCount: 2 });

  it('have all looked at again', async () => {
    const scan = await scanOf(
      { files: FINE },
      { detector: evilDetector({ engine: engine('1') }), ...UNAUDITED },
    );
    await scan.run();
    await scan.detectWith(evilDetector({ engine: engine('2') }));
    const session = scan.become({ files: FINE });
    await scan.run();
    expect(fetchedBy(session)).toHaveLength(3);
  });

  it('have that alone fetched which they could change', async () => {
    const keyed = (signatures: string): Detector =>
      evilDetector({
        engine: engine(signatures),
        answerKey: ({ path }) => (path.startsWith('/etc/') ? signatures : 'the same'),
      });
    const scan = await scanOf({ files: FINE }, { detector: keyed('1'), ...UNAUDITED });
    await scan.run();
    await scan.detectWith(keyed('2'));
    const session = scan.become({ files: FINE });
    await scan.run();
    expect(session.told).toEqual([[]]);
    expect(fetchedBy(session)).toEqual(['/etc/three']);
  });

  it('that look at digests judge without fetching, and fetch what they find', async () => {
    let bad = '';
    const byDigest = (signatures: string): Detector =>
      evilDetector({
        engine: engine(signatures),
        reads: 'digests',
        async *detect(subjects) {
          for (const subject of subjects) {
            const isBad = subject.kind === 'file' && subject.digests.sha256 === bad;
            yield {
              subject: subject.id,
              detections: isBad ? [{ judgement: 'malicious', name: 'Listed' }] : [],
            };
          }
        },
      });
    const scan = await scanOf({ files: FINE }, { detector: byDigest('1'), ...UNAUDITED });
    await scan.run();
    bad = sha256('fine two');
    await scan.detectWith(byDigest('2'));
    const session = scan.become({ files: FINE });
    const { findings } = await scan.run();
    expect(fetchedBy(session)).toEqual(['/bin/two']);
    expect(findings).toMatchObject([{ subject: { path: '/bin/two' }, detections: [{ name: 'Listed' }] }]);
  });
});

describe('a clone of a guest that was scanned', () => {
  const COPIES = FINE.map((file) => ({ ...file, ino: '7', ctime: '1700000005.000000000' }));

  it('sends nothing that is known, and its word for that is counted as such', async () => {
    const scan = await scanOf({ files: FINE }, UNAUDITED);
    await scan.run();
    const session = scan.become({ files: [...COPIES, EVIL] }, 'clone');
    const { scan: record, findings } = await scan.run();
    expect(fetchedBy(session)).toEqual(['/tmp/evil']);
    expect(findings).toHaveLength(1);
    expect(record.summary).toMatchObject({ files: 4, unchanged: 0, claimed: 3 });
    const again = scan.become({ files: COPIES }, 'clone');
    expect((await scan.run()).scan.summary).toMatchObject({ unchanged: 3, claimed: 0 });
    expect(again.told[0]).toHaveLength(3);
  });

  it('tells by digest alone what is the same down to its times, and is held to it', async () => {
    const files = FINE.map((file) => ({ ...file, ctime: '1700000000.123456789' }));
    const scan = await scanOf({ files }, ONE_OWNER);
    await scan.run();
    const session = scan.become({ files: [...files, EVIL] }, 'clone');
    const { scan: record } = await scan.run();
    expect(session.told[0]).toHaveLength(3);
    expect(fetchedBy(session)).toEqual(['/tmp/evil']);
    expect(record.summary).toMatchObject({ files: 4, unchanged: 0, claimed: 3 });
    const again = scan.become({ files }, 'clone');
    expect((await scan.run()).scan.summary).toMatchObject({ files: 3, unchanged: 3 });
    expect(fetchedBy(again)).toEqual([]);
  });

  it('is caught by the audit when it only seems to be the same', async () => {
    const files = FINE.map((file) => ({ ...file, ctime: '1700000000.123456789' }));
    const audited = { ...knownContent({ auditShare: 1, cloneLines: true }), random: ALWAYS };
    const scan = await scanOf({ files }, audited);
    await scan.run();
    const evil = files.map((file) => ({ ...file, content: file.content?.replace('fine', 'evil') ?? '' }));
    scan.become({ files: evil }, 'no-clone');
    const { findings } = await scan.run();
    expect(findings).toHaveLength(3);
    expect(findings.flatMap(({ detections }) => detections.map(({ name }) => name))).toContain(
      'agent-lied-about-hash',
    );
  });

  it('that is scanned at the same time waits for the other one, and sends next to nothing then', async () => {
    const files = Array.from({ length: 200 }, (_, number) => ({
      path: `/f${number}`,
      content: `fine ${number}`,
      ctime: '1700000000.123456789',
    }));
    const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const beforeFile = async () => {
      begun.resolve();
      await goOn.promise;
    };
    const scan = await scanOf({ files, beforeFile }, ONE_OWNER);
    const first = scan.run();
    await begun.promise;
    const session = scan.become({ files }, 'clone');
    const second = scan.run();
    await vi.waitFor(() => expect(session.listings).toHaveLength(1));
    for (let turn = 0; turn < 100; turn++) await setImmediate();
    goOn.resolve();
    expect((await first).scan.summary).toMatchObject({ files: 200, claimed: 0 });
    const { summary } = (await second).scan;
    expect(summary).toMatchObject({ files: 200, unscanned: {} });
    // What it had listed before it was seen to be a clone was on its way already.
    expect(summary?.claimed).toBeGreaterThan(200 - 64);
    expect(session.listings).toHaveLength(2);
    expect(session.told[1]).toHaveLength(200);
    expect(fetchedBy(session).length).toBeLessThan(64);
  });

  it('is not told of files whose times an image builder wrote', async () => {
    const scan = await scanOf({ files: FINE }, ONE_OWNER);
    await scan.run();
    const session = scan.become({ files: FINE }, 'clone');
    await scan.run();
    expect(session.told).toEqual([[]]);
  });

  it('sends everything when policy does not take its word', async () => {
    const scan = await scanOf({ files: FINE }, knownContent({ agentHashes: false }));
    await scan.run();
    const session = scan.become({ files: COPIES }, 'clone');
    await scan.run();
    expect(session.claims).toEqual([]);
    expect(fetchedBy(session)).toHaveLength(3);
  });

  it('is not asked at all when nothing is known yet, and hardly when it has nothing that is', async () => {
    const scan = await scanOf({ files: FINE }, UNAUDITED);
    await scan.run();
    expect(scan.session.claims).toEqual([]);
    const strange = Array.from({ length: 512 * 12 }, (_, number) => ({
      path: `/f${number}`,
      content: `strange ${number}`,
    }));
    const session = scan.become({ files: strange }, 'stranger');
    const { scan: record } = await scan.run();
    expect(record.summary).toMatchObject({ files: strange.length, unscanned: {} });
    expect(session.claims.length).toBeLessThan(5);
  });
});

describe('a guest that lies', () => {
  it('about a hash is caught by the audit: found, scanned again, and believed nothing', async () => {
    const audited = { ...knownContent({ auditShare: 1 }), random: ALWAYS };
    const scan = await scanOf({ files: FINE }, audited);
    await scan.run();
    const lying = { ...EVIL, content: 'evil one', claim: sha256('fine one') };
    const session = scan.become({ files: [...FINE, lying] }, 'liar');
    const { findings, scan: record } = await scan.run();
    expect(findings).toMatchObject([
      {
        judgement: 'malicious',
        detections: [{ name: 'Evil' }, { detector: 'known-content', name: 'agent-lied-about-hash' }],
      },
    ]);
    expect(session.listings).toHaveLength(2);
    expect(record.summary).toMatchObject({ files: 4, unchanged: 0, claimed: 0, malicious: 1, unscanned: {} });
    const after = scan.become({ files: [...FINE, lying] }, 'liar');
    await scan.run();
    expect(after.told[0]).toEqual([]);
  });

  it('and is caught leaves no room taken by what was under way', async () => {
    const size = 24_000;
    const files = Array.from({ length: 40 }, (_, number) => ({
      path: `/f${number}`,
      content: `fine ${number}`.padEnd(size, '.'),
    }));
    // A request brings five files, and two are judged at once: three wait while the first are found out.
    const spool = { spoolBytes: 1024 * 1024, ...knownContent({ auditShare: 1 }), random: ALWAYS };
    const scan = await scanOf({ files }, spool);
    await scan.run();
    const held: number[] = [];
    const session = scan.become(
      {
        files: files.map((file) => ({ ...file, claim: sha256('another') })),
        beforeFile: () => void (session.listings.length === 2 && held.push(scan.spool.bytesHeld)),
      },
      'liar',
    );
    const { scan: record } = await scan.run();
    expect(record.summary).toMatchObject({ files: 40, suspicious: 2, unscanned: {} });
    // What its own first request has, and nothing else.
    expect(held[0]).toBe(5 * size);
  });

  it('about a file that is fetched anyway is caught without an audit', async () => {
    const scan = await scanOf({ files: FINE }, UNAUDITED);
    await scan.run();
    const lying = { path: '/bin/other', content: 'fine other', claim: sha256('never seen') };
    scan.become({ files: [...FINE, lying] }, 'liar');
    const { findings } = await scan.run();
    expect(findings).toMatchObject([
      {
        judgement: 'suspicious',
        subject: { path: '/bin/other' },
        detections: [{ name: 'agent-lied-about-hash' }],
      },
    ]);
  });

  it('about a change is caught by the audit', async () => {
    const audited = { ...knownContent({ auditShare: 1 }), random: ALWAYS };
    const scan = await scanOf({ files: FINE }, audited);
    await scan.run();
    const changed = FINE.map((file) => ({ ...file, content: file.content?.replace('fine', 'evil') ?? '' }));
    scan.become({ files: changed });
    const { findings, scan: record } = await scan.run();
    expect(findings).toHaveLength(3);
    expect(findings.flatMap(({ detections }) => detections.map(({ name }) => name))).toContain(
      'changed-without-a-trace',
    );
    expect(record.summary).toMatchObject({ files: 3, malicious: 3 });
  });

  it('by forged metadata has no file of another guest left out', async () => {
    const files = FINE.map((file) => ({ ...file, ctime: '1700000000.123456789' }));
    const scan = await scanOf({ files }, UNAUDITED);
    await scan.run();
    const infected = files.map((file) => ({ ...file, content: file.content?.replace('fine', 'evil') ?? '' }));
    const session = scan.become({ files: infected }, 'honest');
    const { findings } = await scan.run();
    expect(session.told).toEqual([[]]);
    expect(findings.map(({ judgement }) => judgement)).toEqual(['malicious', 'malicious', 'malicious']);
  });

  it('poisons nothing: what it claimed to have is judged by its content wherever it is met', async () => {
    const scan = await scanOf({ files: FINE }, UNAUDITED);
    await scan.run();
    const lying = { ...EVIL, content: 'evil one', claim: sha256('fine one') };
    scan.become({ files: [lying] }, 'liar');
    expect((await scan.run()).findings).toEqual([]);
    scan.become({ files: [{ ...EVIL, content: 'evil one' }] }, 'honest');
    expect((await scan.run()).findings).toMatchObject([{ judgement: 'malicious' }]);
  });

  it('is not accused of a file that changed meanwhile', async () => {
    const audited = { ...knownContent({ auditShare: 1 }), random: ALWAYS };
    const scan = await scanOf({ files: FINE, fileSystem: 'tmpfs' }, audited);
    await scan.run();
    const young = FINE.map((file) => ({ ...file, claim: '0'.repeat(64), ctime: '9999999999.000000000' }));
    scan.become({ files: young }, 'busy');
    expect((await scan.run()).findings).toEqual([]);
    scan.become(
      { files: FINE.map((file) => ({ ...file, claim: '0'.repeat(64) })), fileSystem: 'tmpfs' },
      'odd',
    );
    expect((await scan.run()).findings).toEqual([]);
  });
});

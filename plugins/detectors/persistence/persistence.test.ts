import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import type { Answer, FileSubject } from 'lazaret/plugin';
import { afterAll, describe, expect, it } from 'vitest';
import { setUp } from '../../../test/conformance/set-up.ts';
import { answersOf, fileSubject } from '../../../test/conformance/subjects.ts';
import plugin from './index.ts';
import { originOf, PLACES, placeOf } from './places.ts';
import { reportOf } from './report.ts';

const MiB = 1024 * 1024;
const detector = await setUp(plugin);
const scratch = mkdtempSync(path.join(tmpdir(), 'lazaret-persistence-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const factsAt = (at: string) => ({ path: at, size: 0, mode: 0o100644, uid: 0, gid: 0, mtime: '0.000000000' });
const subjectAt = (at: string, content: string): FileSubject => ({
  ...fileSubject(content),
  facts: factsAt(at),
});

async function answerAt(at: string, content: string | Buffer): Promise<Answer> {
  const file = path.join(scratch, 'content');
  writeFileSync(file, content);
  const [answer] = (await answersOf(detector, [subjectAt(at, file)])).values();
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

/** The files of a fixture stand at their places in a guest. */
function treeOf(name: string): FileSubject[] {
  const root = path.join(import.meta.dirname, 'fixtures', name);
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name: file }) => path.join(parentPath, file))
    .map((file) => subjectAt(file.slice(root.length), file));
}

describe('the detector', () => {
  it('finds nothing in what stock systems start', async () => {
    const subjects = treeOf('stock');
    expect(subjects.length).toBeGreaterThan(20);
    for (const { facts } of subjects) expect(detector.wants({ kind: 'file', facts }), facts.path).toBe(true);
    for (const answer of (await answersOf(detector, subjects)).values()) {
      expect(answer).toMatchObject({ detections: [] });
    }
  });

  it('finds what is rarely legitimate at every place, and calls none of it malicious', async () => {
    const subjects = treeOf('infected');
    const answers = await answersOf(detector, subjects);
    const found = subjects.map(({ id, facts }) => {
      const answer = answers.get(id);
      const detections = answer !== undefined && 'detections' in answer ? answer.detections : [];
      return [
        facts.path,
        ...detections.map(({ judgement, name, attack }) => `${judgement} ${name} ${attack}`),
      ];
    });
    expect(found.sort()).toEqual([
      ['/etc/cron.d/0hourly', 'suspicious starts-hidden T1053.003'],
      ['/etc/ld.so.preload', 'suspicious preloaded-library T1574.006'],
      ['/etc/modprobe.d/usb.conf', 'suspicious starts-from-temporary T1547.006'],
      ['/etc/profile.d/locale.sh', 'suspicious runs-decoded T1546.004'],
      ['/etc/rc.local', 'suspicious opens-remote-shell T1037.004'],
      ['/etc/systemd/system/network-sync.service', 'suspicious starts-from-temporary T1543.002'],
      ['/etc/udev/rules.d/75-net.rules', 'suspicious starts-from-temporary T1546.017'],
      ['/root/.ssh/authorized_keys', 'suspicious key-sets-loader T1098.004'],
      ['/var/spool/cron/crontabs/www-data', 'suspicious runs-download T1053.003'],
    ]);
  });

  it('says what is started, and which files serve other ends', async () => {
    const unit = '[Service]\nExecStart=/opt/x\n';
    const starts = [{ path: '/opt/x', technique: 'T1543.002', line: 2 }];
    expect(await answerAt('/etc/systemd/system/x.service', unit)).toMatchObject({ detections: [], starts });
    const shared = [{ ...starts[0], shared: true }];
    expect(await answerAt('/usr/lib/systemd/system/x.service', unit)).toMatchObject({ starts: shared });
    expect(await answerAt('/etc/crontab', '@reboot root /opt/x')).toMatchObject({
      starts: [{ shared: true }],
    });
  });

  it('wants files at such places alone', () => {
    const wants = (at: string) => detector.wants({ kind: 'file', facts: factsAt(at) });
    for (const at of [
      '/etc/passwd',
      '/usr/bin/cron',
      '/etc/cron.d/a/b',
      '/home/a/bashrc',
      '/tmp/etc/crontab',
      '',
    ])
      expect(wants(at), at).toBe(false);
    for (const at of ['/lib/systemd/system/a.socket', '/var/lib/pg/.ssh/authorized_keys', '/etc/rc3.d/S01x'])
      expect(wants(at), at).toBe(true);
    expect(detector.wants({ kind: 'process' })).toBe(false);
  });

  it('reads past NUL, and programs not at all', async () => {
    const started = { starts: [{ path: '/opt/x' }] };
    expect(await answerAt('/etc/cron.d/x', '@reboot root \0/opt/\0x')).toMatchObject(started);
    const program = Buffer.concat([
      Buffer.from('\x7fELF\x02\x01\x01\0\n/opt/x\n', 'latin1'),
      Buffer.alloc(2 * MiB),
    ]);
    expect(await answerAt('/etc/cron.daily/x', program)).toMatchObject({ detections: [] });
    // Neither cron nor the loader minds such a first line.
    expect(await answerAt('/etc/ld.so.preload', '\x7fELF\0\n/opt/x')).toMatchObject({ detections: [{}, {}] });
    expect(await answerAt('/etc/profile.d/x', '\x7fELF\n/opt/x')).toMatchObject({ starts: [{ line: 2 }] });
  });

  it.each([
    ['a file that is too large', '/etc/crontab', ' '.repeat(MiB + 1)],
    ['more commands than are read', '/etc/cron.d/x', `@reboot root ${'a;'.repeat(40_001)}`],
    [
      'more starts than are kept',
      '/etc/cron.d/x',
      Array.from({ length: 10_001 }, (_, at) => `@daily root /opt/${at}`).join('\n'),
    ],
  ])('never takes %s for clean', async (_, at, content) => {
    expect(await answerAt(at, content)).toMatchObject({
      unscanned: 'engine-limit',
      detail: expect.stringMatching(/^a /),
    });
  });

  it('tells apart what its answer depends on', () => {
    const digests = { sha256: '00' };
    const key = (at: string) =>
      detector.answerKey?.(factsAt(at), { size: 1, head: new Uint8Array(), digests });
    const keys = ['/etc/systemd/system/a.timer', '/etc/systemd/system/b.timer', '/etc/cron.d/a'].map(key);
    expect(new Set(keys).size).toBe(3);
    expect(key('/etc/cron.d/a')).toBe(keys[2]);
  });
});

/** A pattern or a loop that is not linear takes hours for one of these, and the test times out. */
describe('a hostile line of 1 MiB ends soon', () => {
  const files = {
    '/etc/cron.d/x': ['a', 'a ', '\\', '%', '\\%', '* ', '@', '=', '"', "'", '\t'],
    '/etc/init.d/x': [
      '$',
      '"$',
      '${a',
      '"',
      "'",
      'sudo -u ',
      'env ',
      'a ',
      'alias a=',
      'eval ',
      '\\',
      '/.',
      'x=$x$x ',
    ],
    '/etc/systemd/system/x.service': ['ExecStart=', '"', '\\', '@', ' ', 'a ', ']', 'LD_PRELOAD=/a '],
    '/root/.ssh/authorized_keys': ['command="', ',', '=', '"', '\\"', '=\\"', 'ssh-rsa '],
    '/etc/udev/rules.d/x.rules': ['RUN+="', 'RUN+="a" ', 'RUN', ' ', '"', '\\', ',RUN{program}'],
    '/etc/pam.d/x': ['a ', 'pam_exec.so ', '/x.so', '/', '.so'],
    '/etc/apt/apt.conf.d/x': ['Pre-Invoke', '"', '\\"', '{"', '}', ' '],
    '/etc/modprobe.d/x.conf': ['install ', ' ', 'install a ', '\\'],
    '/etc/ld.so.preload': ['#', ' ', '/', '/a:', '\\'],
    '/etc/xdg/autostart/x.desktop': ['Exec=', '=', '%', ' '],
  };
  /** What a single character follows. */
  const opening: Record<string, string> = {
    '/etc/cron.d/x': '* * * * * root ',
    '/etc/systemd/system/x.service': 'ExecStart=',
    '/root/.ssh/authorized_keys': 'command="',
    '/etc/udev/rules.d/x.rules': 'RUN+="',
    '/etc/modprobe.d/x.conf': 'install x ',
    '/etc/xdg/autostart/x.desktop': 'Exec=',
  };
  const hostile = Object.entries(files).flatMap(([at, units]) => units.map((unit) => ({ at, unit })));
  it.each(hostile)('$at of $unit', async ({ at, unit }) => {
    const before = unit.length === 1 ? (opening[at] ?? '') : '';
    expect(await answerAt(at, before + unit.repeat((MiB - 20) / unit.length))).toHaveProperty('subject');
  });

  it.each(['$(', '(', '`', '<(', 'sh|', '"$('])('as long as commands may be, of %s', async (unit) => {
    for (const at of ['/etc/init.d/x', '/etc/cron.d/x']) {
      expect(await answerAt(at, `* * * * * root ${unit.repeat(39_000)}`)).toHaveProperty('detections');
    }
  });
});

it('bears anything at any place, and tells it harmlessly', () => {
  const token = fc.constantFrom(
    ...[
      '/opt/x',
      '* * * * * root ',
      '@reboot ',
      'ExecStart=',
      'command="',
      'RUN+="',
      '"',
      "'",
      '`',
      '$(',
      ')',
      '\\',
    ],
    ...[
      '\n',
      ';',
      '|',
      ' ',
      '$x',
      'x=',
      '<(',
      '>',
      '&',
      'sh -c ',
      'eval ',
      'install a ',
      'Exec=',
      '{',
      '}',
      '\xff',
      '\x1b',
    ],
  );
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('latin1'));
  const text = fc.oneof(
    bytes,
    fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join('')),
  );
  fc.assert(
    fc.property(text, (content) => {
      for (const { format, parse } of PLACES) {
        const origin = originOf('/home/a/.config/systemd/user/x.timer');
        const { starts, detections } = reportOf(parse(content, origin), {
          format,
          isShared: false,
          ...origin,
        });
        for (const { path: started, line } of starts) {
          expect(started).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u);
          expect(line).toBeGreaterThan(0);
        }
        for (const { description } of detections)
          expect(description).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u);
      }
    }),
    { numRuns: 300 },
  );
});

it.each(PLACES)('finds $format by one look first', ({ at }) => {
  fc.assert(
    fc.property(fc.stringMatching(at), (place) => {
      expect(placeOf(place)).toBeDefined();
    }),
  );
});

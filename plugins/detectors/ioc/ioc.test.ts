import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Detector, FileSubject, Subject } from 'lazaret/plugin';
import { afterAll, expect, it } from 'vitest';
import { answersOf, contextWith, fileSubject, processSubject } from '../../../test/conformance/subjects.ts';
import plugin from './index.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'lazaret-ioc-'));
afterAll(() => rmSync(directory, { recursive: true }));

const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures', name);
const open = async (...files: string[]): Promise<Detector> =>
  plugin.setup(contextWith({ files: files.map((file) => path.resolve(fixture(''), file)) }));
const namesFor = async (detector: Detector, subject: Subject): Promise<string[]> => {
  const answer = (await answersOf(detector, [subject])).get(subject.id);
  return answer !== undefined && 'detections' in answer
    ? answer.detections.map(({ name }) => name)
    : ['no answer'];
};

function fileAt(path: string): FileSubject {
  const subject = fileSubject(fixture('clean.txt'));
  return { ...subject, content: '', facts: { ...subject.facts, path } };
}

function filesOf(name: string, indicators: readonly unknown[]): string {
  const file = path.join(directory, name);
  writeFileSync(file, JSON.stringify({ format: 1, indicators }));
  return file;
}

it.each([
  ['/srv/www/inert/.hidden', ['Inert.ByPath']],
  ['/srv/inert/.hidden', []],
  ['/srv/a/b/inert/.hidden', []],
  ['/opt/inert/exact', ['Inert.Exact']],
  ['/opt/inert/exactly', []],
  ['/var/inert-dropper-1.txt', ['Inert.ByName']],
  ['/inert-dropper-1.txt/other', []],
  ['/', []],
  ['', []],
])('knows files by their path: %j', async (at, names) => {
  expect(await namesFor(await open('indicators.json'), fileAt(at))).toEqual(names);
});

it('knows files by their content, says all that is known, and reads no content', async () => {
  const detector = await open('indicators.json');
  const { digests } = fileSubject(fixture('by-hash.txt'));
  expect(detector.reads).toBe('digests');
  const subject = { ...fileAt('/opt/inert/exact'), digests };
  const answer = (await answersOf(detector, [subject])).get(subject.id);
  expect(answer).toEqual({
    subject: subject.id,
    detections: [
      {
        judgement: 'malicious',
        name: 'Inert.ByHash',
        description: 'A fixture of this detector',
        attack: ['T1204.002'],
        source: 'indicators.json',
      },
      { judgement: 'malicious', name: 'Inert.Exact', source: 'indicators.json' },
    ],
  });
});

it('knows processes by name, program and command line', async () => {
  const detector = await open('indicators.json');
  const name = 'inert-miner-with-a-long-name';
  const plain = processSubject();
  expect(await namesFor(detector, plain)).toEqual([]);
  expect(await namesFor(detector, { ...plain, name })).toEqual(['Inert.Miner']);
  expect(await namesFor(detector, processSubject({ path: `/tmp/${name}` }))).toEqual(['Inert.Miner']);
  const commandLine = ['x', '--inert-pool', 'stratum+tcp://example.org'];
  expect(await namesFor(detector, { ...plain, commandLine })).toEqual(['Inert.Pool']);
});

it('wants nothing that none of its indicators could know', async () => {
  const meaning = { judgement: 'malicious', name: 'Test' };
  const byPath = await open(filesOf('path.json', [{ type: 'path', value: '/tmp/*.sh', ...meaning }]));
  const byProcess = await open(
    filesOf('process.json', [{ type: 'process-name', value: 'xmrig', ...meaning }]),
  );
  const byHash = await open(filesOf('hash.json', [{ type: 'sha256', value: 'a'.repeat(64), ...meaning }]));
  const wanted = [fileAt('/tmp/a.sh'), fileAt('/etc/passwd'), processSubject()].map((subject) =>
    [byPath, byProcess, byHash].map((detector) => detector.wants(subject)),
  );
  expect(wanted).toEqual([
    [true, false, true],
    [false, false, true],
    [false, true, false],
  ]);
});

it('tells contents apart by what is known of their paths, and by the indicators', async () => {
  const [detector, other] = await Promise.all([open('indicators.json'), open('malformed.json')]);
  const key = (of: Detector, at: string): string | undefined => {
    const { facts, size, digests } = fileAt(at);
    return of.answerKey?.(facts, { size, head: Buffer.alloc(0), digests });
  };
  const unknown = key(detector, '/etc/passwd');
  expect(unknown).toBe(key(detector, '/etc/group'));
  expect(key(other, '/etc/passwd')).not.toBe(unknown);
  expect(key(detector, '/opt/inert/exact')).not.toBe(unknown);
  expect(key(detector, '/srv/a/inert/.hidden')).toBe(key(detector, '/srv/b/inert/.hidden'));
});

it('names the indicators that are malformed and uses the others', async () => {
  const detector = await open('malformed.json');
  expect(detector.problems.map(({ message }) => message.split(':')[0])).toEqual(
    Array.from({ length: 10 }, (_, index) => `indicator ${index + 1}`),
  );
  expect(detector.engine.signatureCount).toBe(1);
  expect(await namesFor(detector, fileAt('/srv/inert/good'))).toEqual(['Good']);
});

it('counts what is malformed beyond a hundred', async () => {
  const good = { type: 'sha256', value: 'a'.repeat(64), judgement: 'malicious', name: 'Test' };
  const { problems } = await open(filesOf('many.json', [...Array.from({ length: 130 }, () => 0), good]));
  expect(problems).toHaveLength(101);
  expect(problems.at(-1)?.message).toBe('and 30 more such indicators');
});

it.each([['nowhere.json'], ['.'], ['newer.json'], ['torn.json'], ['none.json'], ['clean.txt']])(
  'refuses %s',
  async (file) => {
    await expect(open(file)).rejects.toMatchObject({ code: 'bad-signatures' });
  },
);

it('refuses more indicators than can be tried on everything', async () => {
  const patterns = Array.from({ length: 1_001 }, (_, index) => ({
    type: 'file-name',
    value: `inert-${index}-*`,
    judgement: 'malicious',
    name: 'Test',
  }));
  await expect(open(filesOf('all.json', patterns))).rejects.toMatchObject({ message: /keep to 1000/ });
  expect((await open(filesOf('fewer.json', patterns.slice(1)))).engine.signatureCount).toBe(1_000);
});

it('takes indicators of packs', async () => {
  const packed = {
    type: 'ioc',
    path: fixture('indicators.json'),
    name: 'i.json',
    pack: 'acme/iocs',
    version: '1',
  } as const;
  const detector = await plugin.setup(contextWith({ files: [] }, [packed]));
  const subject = fileSubject(fixture('by-hash.txt'));
  expect((await answersOf(detector, [subject])).get(subject.id)).toMatchObject({
    detections: [{ source: 'acme/iocs/i.json' }],
  });
});

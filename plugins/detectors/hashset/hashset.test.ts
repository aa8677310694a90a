import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Detector, SignatureFile } from 'lazaret/plugin';
import { afterAll, expect, it } from 'vitest';
import { answersOf, contextWith, fileSubject } from '../../../test/conformance/subjects.ts';
import plugin from './index.ts';
import { LONGEST_LINE } from './lines.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'lazaret-hashset-'));
afterAll(() => rmSync(directory, { recursive: true }));

const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures', name);
const open = async (...lists: string[]): Promise<Detector> =>
  plugin.setup(contextWith({ lists: lists.map((list) => path.resolve(fixture(''), list)) }));
const answer = async (detector: Detector, file: string) => {
  const subject = fileSubject(fixture(file));
  return (await answersOf(detector, [subject])).get(subject.id);
};

function listOf(name: string, content: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, content);
  return file;
}

it.each([
  ['by-sha256.txt', 'known.txt', 'inert.by-sha256'],
  ['by-sha1.txt', 'known.txt', /^sha1:[0-9a-f]{40}$/],
  ['by-md5.txt', 'known.txt', 'Inert By MD5'],
  ['by-sha256.txt', 'malware-bazaar.csv', 'InertFamily'],
  ['by-md5.txt', 'malware-bazaar.csv', /^sha256:[0-9a-f]{64}$/],
  ['by-md5.txt', 'known.hdb', 'Inert.Test.Md5-6369668-0'],
  ['by-sha256.txt', 'known.hsb', 'Inert.Test.Sha256-1234567-0'],
  ['by-sha1.txt', 'known.hsb', 'Inert.Test.Sha1-1234568-0'],
])('finds %s by %s', async (file, list, name) => {
  const expected = typeof name === 'string' ? name : expect.stringMatching(name);
  expect(await answer(await open(list), file)).toMatchObject({
    detections: [{ judgement: 'malicious', name: expected, source: list }],
  });
});

it.each([['known.txt'], ['malware-bazaar.csv'], ['known.hdb'], ['known.hsb']])(
  'finds nothing by %s in a file that is on no list',
  async (list) => {
    expect(await answer(await open(list), 'clean.txt')).toMatchObject({ detections: [] });
  },
);

it('finds nothing where the size is another than the listed one', async () => {
  expect(await answer(await open('known.hdb'), 'by-sha256.txt')).toMatchObject({ detections: [] });
});

it('suspects what is potentially unwanted', async () => {
  const detections = [{ judgement: 'suspicious', name: 'PUA.Inert.Unwanted-1' }];
  expect(await answer(await open('unwanted.hdu'), 'by-sha256.txt')).toMatchObject({ detections });
});

it('takes the word of the list that says more', async () => {
  const detections = [{ judgement: 'malicious', name: 'Bad' }];
  const { digests } = fileSubject(fixture('by-md5.txt'));
  const lists = ['suspect.hdu', 'known-bad.hdb'].map((name) => listOf(name, `${digests.md5}:*:Bad`));
  expect(await answer(await open(...lists), 'by-md5.txt')).toMatchObject({ detections });
});

it('takes lists of packs as well', async () => {
  const packed: SignatureFile = {
    type: 'hashset',
    path: fixture('known.hdb'),
    name: 'lists/known.hdb',
    pack: 'acme/hashes',
    version: '1',
  };
  const detector = await plugin.setup(contextWith({ lists: [fixture('known.txt')] }, [packed]));
  expect(await answer(detector, 'by-md5.txt')).toMatchObject({
    detections: [{ source: 'acme/hashes/lists/known.hdb' }, { source: 'known.txt' }],
  });
  const alone = await plugin.setup(contextWith({ lists: [] }, [packed]));
  expect(await answer(alone, 'by-md5.txt')).toMatchObject({
    detections: [{ source: 'acme/hashes/lists/known.hdb' }],
  });
});

it('reads digests alone, and asks for none but those on its lists', async () => {
  expect(await open('known.txt')).toMatchObject({ reads: 'digests', digests: ['md5', 'sha1'] });
  expect((await open('malformed.txt')).digests).toEqual([]);
});

it('calls nothing clean for which a digest is missing, or that cannot be looked up', async () => {
  const { digests, ...rest } = fileSubject(fixture('clean.txt'));
  const subject = { ...rest, digests: { sha256: digests.sha256 } };
  const detector = await open('known.txt');
  expect((await answersOf(detector, [subject])).get(subject.id)).toMatchObject({
    unscanned: 'engine-failed',
  });
  await detector.close();
  await expect(answer(detector, 'clean.txt')).rejects.toMatchObject({ code: 'engine-failed' });
});

it.each([
  ['malformed.txt', [1, 3], 1],
  ['known.hdb', [4, 5], 2],
  ['malware-bazaar.csv', [8], 2],
])('names the malformed lines of %s and uses the others', async (list, lines, count) => {
  const detector = await open(list);
  expect(detector.problems.map(({ file, line }) => [path.basename(file), line])).toEqual(
    lines.map((line) => [list, line]),
  );
  expect(detector.engine.signatureCount).toBe(count);
});

it('counts what is malformed beyond a hundred lines, and bears a line without end', async () => {
  const lines = [...Array.from({ length: 249 }, () => 'x'), 'y'.repeat(5 * LONGEST_LINE), 'a'.repeat(64)];
  const { engine, problems } = await open(listOf('long.txt', lines.join('\n')));
  expect(engine.signatureCount).toBe(1);
  expect(problems).toHaveLength(101);
  expect(problems.at(-1)?.message).toBe('and 150 more such lines, from this list on');
});

it('takes line ends and byte order marks of any editor', async () => {
  const { digests } = fileSubject(fixture('by-sha256.txt'));
  const list = listOf('bom.txt', `\ufeff${digests.sha256.toUpperCase()} with  a name \r\n`);
  const detector = await open(list);
  expect(detector.problems).toEqual([]);
  expect(await answer(detector, 'by-sha256.txt')).toMatchObject({ detections: [{ name: 'with  a name' }] });
});

it.each([['nowhere.txt'], ['.'], ['clean.txt'], ['known-good.fp']])('refuses %s for a list', async (list) => {
  await expect(open(list)).rejects.toMatchObject({ code: 'bad-signatures' });
});

it('has another identity when a list says something else of a hash', async () => {
  const hash = 'a'.repeat(64);
  const identities = await Promise.all(
    [
      ['one.hsb', `${hash}:*:A`],
      ['two.hsb', `${hash}:*:B`],
      ['three.hsb', `${hash}:1:A`],
      ['three.hsu', `${hash}:1:A`],
    ].map(async ([name = '', content = '']) => (await open(listOf(name, content))).engine.signatures),
  );
  expect(new Set(identities).size).toBe(4);
});

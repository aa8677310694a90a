import path from 'node:path';
import type { Detector } from 'lazaret/plugin';
import { expect, it } from 'vitest';
import { answersOf, contextWith, fileSubject } from '../../../test/conformance/subjects.ts';
import { parseHashList } from './hash-list.ts';
import plugin from './index.ts';

const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures', name);
const open = async (...lists: string[]): Promise<Detector> =>
  plugin.setup(contextWith({ lists: lists.map(fixture) }));

it.each([
  ['by-sha256.txt', 'inert.by-sha256'],
  ['by-sha1.txt', /^sha1:[0-9a-f]{40}$/],
  ['by-md5.txt', 'Inert By MD5'],
])('finds %s', async (file, name) => {
  const subject = fileSubject(fixture(file));
  const answer = (await answersOf(await open('known.txt'), [subject])).get(subject.id);
  const expected = typeof name === 'string' ? name : expect.stringMatching(name);
  expect(answer).toMatchObject({
    detections: [{ judgement: 'malicious', name: expected, source: 'known.txt' }],
  });
});

it('finds nothing in a file that is on no list', async () => {
  const subject = fileSubject(fixture('clean.txt'));
  expect((await answersOf(await open('known.txt'), [subject])).get(subject.id)).toMatchObject({
    detections: [],
  });
});

it('asks for no digest but those on its lists', async () => {
  expect((await open('malformed.txt')).digests).toEqual([]);
  expect((await open('known.txt')).digests).toEqual(['sha1', 'md5']);
});

it('calls nothing clean for which a digest is missing', async () => {
  const { digests, ...rest } = fileSubject(fixture('clean.txt'));
  const subject = { ...rest, digests: { sha256: digests.sha256 } };
  const answer = (await answersOf(await open('known.txt'), [subject])).get(subject.id);
  expect(answer).toMatchObject({ unscanned: 'engine-failed' });
});

it('names malformed lines and uses the others', async () => {
  const detector = await open('malformed.txt');
  expect(detector.problems.map(({ file, line }) => [path.basename(file), line])).toEqual([
    ['malformed.txt', 1],
    ['malformed.txt', 3],
  ]);
  expect(detector.engine.signatureCount).toBe(1);
});

it('takes line ends and byte order marks of any editor', () => {
  const hash = 'A'.repeat(64);
  expect(parseHashList('list', `\ufeff${hash}\r\n${hash} with  a name \r\n`)).toEqual({
    hashes: [
      { algorithm: 'sha256', hash: hash.toLowerCase() },
      { algorithm: 'sha256', hash: hash.toLowerCase(), name: 'with  a name' },
    ],
    problems: [],
  });
});

it('refuses a list that is not there, and lists without a hash', async () => {
  await expect(open('nowhere.txt')).rejects.toMatchObject({ code: 'bad-signatures' });
  await expect(open('clean.txt')).rejects.toMatchObject({ code: 'bad-signatures' });
});

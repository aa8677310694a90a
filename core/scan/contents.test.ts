import { describe, expect, it } from 'vitest';
import type { Answer, Detector, FileSubject, Subject } from '../api/index.ts';
import { AnswerKeys } from './answer-keys.ts';
import { HeldAnswers, SharedAnswers } from './answers.ts';
import { type ContentItem, ContentJudge, type Judged } from './contents.ts';
import { Detection } from './detect.ts';
import type { Fetched } from './fetch.ts';

const signal = new AbortController().signal;
const opened = { dev: '1', ino: '2', size: 4, mtime: '0.0', ctime: '0.0', mode: 0, uid: 0, gid: 0, links: 1 };

function item(path: string, interest = '+evil'): ContentItem {
  const facts = { path, size: 4, mode: 0o644, uid: 0, gid: 0, mtime: '0.000000000' };
  return { request: { path }, facts, interest };
}

function fetched(path: string, sha256: string, interest?: string): Fetched<ContentItem> {
  const content = {
    path: `/spool/${path}`,
    size: 4,
    head: new Uint8Array(),
    digests: { sha256 },
    release: () => undefined,
  };
  return { item: item(path, interest), facts: opened, content };
}

/** Finds what has the digest `evil`, and remembers what it was shown. */
function evilDetector(): { detector: Detector; shown: Subject[] } {
  const shown: Subject[] = [];
  async function* detect(subjects: readonly Subject[]): AsyncGenerator<Answer> {
    shown.push(...subjects);
    for (const subject of subjects) {
      const evil = (subject as FileSubject).digests.sha256 === 'evil';
      yield { subject: subject.id, detections: evil ? [{ judgement: 'malicious', name: 'Evil' }] : [] };
    }
  }
  const engine = { name: 'evil', version: '1', signatures: '0', signatureCount: 1 };
  const close = async () => undefined;
  return { detector: { engine, problems: [], concurrency: 1, wants: () => true, detect, close }, shown };
}

async function judgeAll(groups: Fetched<ContentItem>[][]) {
  const { detector, shown } = evilDetector();
  const other = evilDetector();
  const detectors = [
    { id: 'evil', detector },
    { id: 'other', detector: other.detector },
  ];
  const parts = {
    detection: new Detection(detectors),
    keys: new AnswerKeys(detectors),
    clean: new HeldAnswers(),
    shared: new SharedAnswers(),
  };
  const judge = new ContentJudge(parts, 2, 1024);
  async function* source(): AsyncGenerator<Fetched<ContentItem>[]> {
    yield* groups;
  }
  const judged: Judged<ContentItem>[] = (await Array.fromAsync(judge.judge(source(), signal))).flat();
  const states = Object.fromEntries(
    judged.map(({ item: { facts }, verdict }) => [facts.path, verdict.state]),
  );
  return { states, shown, shownToOther: other.shown, judged };
}

describe('judging contents', () => {
  it('gives each name the verdict of its content', async () => {
    const { states } = await judgeAll([
      [fetched('/a', 'good'), fetched('/b', 'evil')],
      [fetched('/c', 'fine')],
    ]);
    expect(states).toEqual({ '/a': 'clean', '/b': 'malicious', '/c': 'clean' });
  });

  it('shows equal contents to the detectors once, in one batch and over batches', async () => {
    const many = Array.from({ length: 300 }, (_, number) => [fetched(`/copy-${number}`, 'evil')]);
    const { states, shown } = await judgeAll(many);
    expect(shown).toHaveLength(1);
    expect(Object.values(states).filter((state) => state === 'malicious')).toHaveLength(300);
  });

  it('does not take the verdict of one detector for that of another', async () => {
    const { shown, shownToOther } = await judgeAll([
      [fetched('/a', 'good', '+evil'), fetched('/b', 'good', '+other+evil')],
    ]);
    expect([shown.length, shownToOther.length]).toEqual([1, 1]);
  });

  it('passes on what was not fetched as unscanned', async () => {
    const { judged, shown } = await judgeAll([[{ item: item('/gone'), unscanned: 'vanished' }]]);
    expect(judged).toEqual([
      {
        item: item('/gone'),
        verdict: { state: 'unscanned', unfinished: { reason: 'vanished' } },
        isKept: false,
        starts: [],
      },
    ]);
    expect(shown).toEqual([]);
  });
});

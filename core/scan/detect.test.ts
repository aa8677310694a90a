import { describe, expect, it } from 'vitest';
import type { Answer, Detector, FileSubject, Subject } from '../api/index.ts';
import { Detection } from './detect.ts';

const facts = { path: '/bin/x', size: 1, mode: 0o755, uid: 0, gid: 0, mtime: '0.000000000' };
const subject = (id: string): FileSubject => ({
  kind: 'file',
  id,
  content: `/spool/${id}`,
  size: 1,
  digests: { sha256: id },
  facts: { ...facts, path: `/bin/${id}` },
});

function detector(detect: Detector['detect'], overrides: Partial<Detector> = {}): Detector {
  return {
    engine: { name: 'scripted', version: '1', signatures: '0', signatureCount: 1 },
    problems: [],
    concurrency: 1,
    wants: () => true,
    detect,
    close: async () => undefined,
    ...overrides,
  };
}

async function* clean(subjects: readonly Subject[]): AsyncGenerator<Answer> {
  for (const { id } of subjects) yield { subject: id, detections: [] };
}

const verdictOf = async (scripted: Detector, signal = new AbortController().signal) =>
  (await new Detection([{ id: 'scripted', detector: scripted }]).verdicts([subject('a')], signal)).get('a');

describe('verdicts', () => {
  it('come from every detector that wants the subject', async () => {
    const onlyB = detector(
      async function* (subjects) {
        for (const { id } of subjects)
          yield { subject: id, detections: [{ judgement: 'malicious', name: 'B' }] };
      },
      { wants: (prospect) => prospect.kind === 'file' && prospect.facts.path === '/bin/b' },
    );
    const detection = new Detection([
      { id: 'all', detector: detector(clean) },
      { id: 'only-b', detector: onlyB },
    ]);
    const verdicts = await detection.verdicts([subject('a'), subject('b')], new AbortController().signal);
    expect(verdicts.get('a')).toEqual({ state: 'clean' });
    expect(verdicts.get('b')).toMatchObject({
      state: 'malicious',
      detections: [{ name: 'B', detector: 'only-b' }],
    });
    expect(detection.interest({ kind: 'file', facts: { ...facts, path: '/bin/b' } })).toBe('+all+only-b');
    expect(detection.interest({ kind: 'file', facts })).toBe('+all');
  });

  it('are unscanned for what a detector leaves out', async () => {
    expect(await verdictOf(detector(() => clean([])))).toEqual({
      state: 'unscanned',
      unfinished: { reason: 'no-answer', detail: 'scripted' },
    });
  });

  it('are unscanned when it throws, but what it had answered stands', async () => {
    const breaks = detector(async function* (subjects) {
      yield* clean(subjects.slice(0, 1));
      throw new Error('out of memory');
    });
    const detection = new Detection([{ id: 'breaks', detector: breaks }]);
    const verdicts = await detection.verdicts([subject('a'), subject('b')], new AbortController().signal);
    expect(verdicts.get('a')).toEqual({ state: 'clean' });
    expect(verdicts.get('b')).toEqual({
      state: 'unscanned',
      unfinished: { reason: 'engine-failed', detail: 'breaks: out of memory' },
    });
  });

  it('are cancelled, not clean, when the scan is', async () => {
    const aborted = new AbortController();
    aborted.abort();
    expect(
      await verdictOf(
        detector(() => clean([])),
        aborted.signal,
      ),
    ).toMatchObject({ unfinished: { reason: 'cancelled' } });
  });

  it('cannot be changed by answers for strangers or by a second answer', async () => {
    const liar = detector(async function* () {
      yield { subject: 'stranger', detections: [{ judgement: 'malicious', name: 'X' }] };
      yield { subject: 'a', detections: [{ judgement: 'malicious', name: 'First' }] };
      yield { subject: 'a', detections: [] };
    });
    expect(await verdictOf(liar)).toMatchObject({ state: 'malicious', detections: [{ name: 'First' }] });
  });
});

it('asks no detector more often at once than it allows', async () => {
  let underWay = 0;
  let most = 0;
  const counted = detector(
    async function* (subjects) {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      yield* clean(subjects);
      underWay -= 1;
    },
    { concurrency: 2 },
  );
  const detection = new Detection([{ id: 'counted', detector: counted }]);
  const { signal } = new AbortController();
  await Promise.all(
    Array.from({ length: 6 }, (_, number) => detection.verdicts([subject(`s${number}`)], signal)),
  );
  expect(most).toBe(2);
});

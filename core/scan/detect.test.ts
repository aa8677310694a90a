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

describe('scans that share a detector', () => {
  const { signal } = new AbortController();
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  /** A detector that holds each batch until it is let go, and notes the order in which batches begin. */
  function held(overrides: Partial<Detector> = {}) {
    const begun: string[] = [];
    const letGo: (() => void)[] = [];
    const shared = detector(async function* (subjects) {
      begun.push(subjects[0]?.id ?? '');
      await new Promise<void>((resolve) => letGo.push(resolve));
      yield* clean(subjects);
    }, overrides);
    const scan = () => new Detection([{ id: 'shared', detector: shared }]);
    /** Ends the batches under way, one after the other, until none is left. */
    const finish = async () => {
      for (let next = letGo.shift(); next; next = letGo.shift()) {
        next();
        await turn();
      }
    };
    return { begun, letGo, scan, finish };
  }

  it('ask it no more often at once, together, than it allows', async () => {
    const { begun, scan, finish } = held({ concurrency: 2 });
    const asked = Array.from({ length: 5 }, (_, number) => scan().verdicts([subject(`s${number}`)], signal));
    await turn();
    expect(begun).toHaveLength(2);
    await finish();
    expect((await Promise.all(asked)).map((verdicts) => verdicts.size)).toEqual([1, 1, 1, 1, 1]);
  });

  it('take turns, however much each has', async () => {
    const { begun, scan, finish } = held();
    const [large, small, other] = [scan(), scan(), scan()];
    const ask = (of: Detection, ...ids: string[]) => ids.map((id) => of.verdicts([subject(id)], signal));
    const asked = [
      ...ask(large, 'l1', 'l2', 'l3', 'l4', 'l5'),
      ...ask(small, 's1', 's2'),
      ...ask(other, 'o1'),
    ];
    await turn();
    await finish();
    await Promise.all(asked);
    expect(begun).toEqual(['l1', 'l2', 's1', 'o1', 'l3', 's2', 'l4', 'l5']);
  });

  it('do not wait for the detector of another', async () => {
    const stuck = held();
    void stuck.scan().verdicts([subject('a')], signal);
    expect(await verdictOf(detector(clean))).toEqual({ state: 'clean' });
  });

  it('go on when one is cancelled: while it waits for its turn', async () => {
    const { begun, scan, finish } = held();
    const stop = new AbortController();
    const first = scan().verdicts([subject('first')], signal);
    const gone = scan().verdicts([subject('gone')], stop.signal);
    const next = scan().verdicts([subject('next')], signal);
    await turn();
    stop.abort();
    expect((await gone).get('gone')).toMatchObject({ unfinished: { reason: 'cancelled' } });
    await finish();
    expect((await first).get('first')).toEqual({ state: 'clean' });
    expect((await next).get('next')).toEqual({ state: 'clean' });
    expect(begun).toEqual(['first', 'next']);
  });

  it('go on when one is cancelled: while the detector works for it and does not heed the signal', async () => {
    const { begun, scan, finish } = held();
    const stop = new AbortController();
    const gone = scan().verdicts([subject('gone')], stop.signal);
    const next = scan().verdicts([subject('next')], signal);
    await turn();
    stop.abort();
    expect((await gone).get('gone')).toMatchObject({ unfinished: { reason: 'cancelled' } });
    await turn();
    expect(begun).toEqual(['gone']);
    await finish();
    expect((await next).get('next')).toEqual({ state: 'clean' });
  });

  it('keep what a detector answered before they were cancelled, and nothing after', async () => {
    const stop = new AbortController();
    const more = Promise.withResolvers<void>();
    const slow = detector(async function* () {
      yield { subject: 'a', detections: [{ judgement: 'malicious', name: 'A' }] };
      stop.abort();
      await more.promise;
      yield { subject: 'b', detections: [{ judgement: 'malicious', name: 'B' }] };
    });
    const detection = new Detection([{ id: 'slow', detector: slow }]);
    const verdicts = await detection.verdicts([subject('a'), subject('b')], stop.signal);
    more.resolve();
    await turn();
    expect(verdicts.get('a')).toMatchObject({ state: 'malicious' });
    expect(verdicts.get('b')).toMatchObject({ state: 'unscanned', unfinished: { reason: 'cancelled' } });
  });
});

/** What every detector keeps to, whatever it looks for. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import {
  type Answer,
  type Detector,
  type FileSubject,
  type Prospect,
  type Subject,
  UNSCANNED_REASONS,
} from '../core/api/index.ts';
import type { Case } from './case.ts';
import { answersOf } from './subjects.ts';

export interface DetectorSamples {
  readonly malicious: Subject;
  readonly clean: Subject;
  /** Odd in every way that the detector could stumble over. Any answer will do, but there must be one. */
  readonly malformed: readonly Subject[];
  /** A subject whose content is gone; absent for a detector that reads no content. */
  readonly vanished?: FileSubject;
}

export interface DetectorTrial {
  /** A detector of its own for each test. */
  open(): Promise<Detector>;
  readonly samples: DetectorSamples;
}

const MANY = 200;
const never = new AbortController().signal;

export function detectorSuite({ open, samples }: DetectorTrial): readonly Case[] {
  const all = [samples.clean, samples.malicious, ...samples.malformed];
  const { vanished } = samples;
  const test = (name: string, work: (detector: Detector) => Promise<void>): Case => ({
    name,
    run: async () => {
      const detector = await open();
      try {
        await work(detector);
      } finally {
        await detector.close();
      }
    },
  });
  return [
    test('says who it is and how much it takes', saysWhoItIs),
    test('says what it wants, always the same of the same', async (detector) => wantsTheSame(detector, all)),
    test('finds what it is for, in words that fit', (detector) => findsInWords(detector, samples.malicious)),
    test('finds nothing in what is clean', async (detector) => {
      const { id } = samples.clean;
      assert.deepEqual(await answerFor(detector, samples.clean), { subject: id, detections: [] });
    }),
    test('answers each subject once, the malformed and the vanished too', (detector) =>
      answersEach(detector, [
        ...all,
        ...(vanished ? [vanished] : []),
        ...all.map((subject, copy) => ({ ...subject, id: `copy-${copy}` })),
      ])),
    ...(vanished === undefined
      ? []
      : [
          test('never takes a content that it could not read for clean', async (detector) => {
            const answer = await answerFor(detector, vanished);
            assert.ok('unscanned' in answer, 'it has a verdict');
            assert.ok(UNSCANNED_REASONS.includes(answer.unscanned));
          }),
        ]),
    test('answers nothing when asked nothing', async (detector) => {
      assert.deepEqual(await answersOf(detector, []), new Map());
    }),
    test('answers calls that overlap, each its own', (detector) => answersOverlapping(detector, all)),
    test('ends when it is aborted, and calls nothing clean that it did not look at', (detector) =>
      endsWhenAborted(detector, all)),
    test('bears a caller who leaves early', async (detector) => {
      for await (const _ of detector.detect(many(samples.clean), never)) break;
      assert.ok('detections' in (await answerFor(detector, samples.malicious)));
    }),
    {
      name: 'leaves no process behind when it is closed, however often',
      run: async () => {
        const before = children();
        const detector = await open();
        await answersOf(detector, all);
        await Promise.all([detector.close(), detector.close()]);
        await detector.close();
        assert.deepEqual(children(), before);
      },
    },
  ];
}

async function saysWhoItIs({ engine, problems, concurrency }: Detector): Promise<void> {
  for (const text of [engine.name, engine.version, engine.signatures]) assert.notEqual(text, '');
  assert.ok(engine.signatureCount > 0, 'it has signatures');
  assert.deepEqual(problems, []);
  assert.ok(Number.isInteger(concurrency) && concurrency >= 1, 'it takes at least one call');
}

function wantsTheSame(detector: Detector, subjects: readonly Subject[]): void {
  for (const subject of subjects) {
    const prospect = Object.freeze(prospectOf(subject));
    assert.deepEqual([detector.wants(prospect), detector.wants(prospect)], [true, true], subject.id);
  }
}

async function findsInWords(detector: Detector, malicious: Subject): Promise<void> {
  const answer = await answerFor(detector, malicious);
  assert.ok('detections' in answer, `not scanned: ${JSON.stringify(answer)}`);
  assert.notDeepEqual(answer.detections, []);
  for (const { judgement, name, attack = [] } of answer.detections) {
    assert.ok(['malicious', 'suspicious'].includes(judgement), judgement);
    assert.match(name, /^.{1,200}$/su);
    for (const technique of attack) assert.match(technique, /^T\d{4}(\.\d{3})?$/);
  }
}

async function answersEach(detector: Detector, subjects: readonly Subject[]): Promise<void> {
  const answers = await answersOf(detector, subjects);
  assert.deepEqual([...answers.keys()].sort(), subjects.map(({ id }) => id).sort());
}

async function answersOverlapping(detector: Detector, all: readonly Subject[]): Promise<void> {
  const calls = Array.from({ length: detector.concurrency }, (_, call) =>
    all.map((subject, copy) => ({ ...subject, id: `${call}-${copy}` })),
  );
  await Promise.all(calls.map((subjects) => answersEach(detector, subjects)));
}

async function endsWhenAborted(detector: Detector, all: readonly Subject[]): Promise<void> {
  const before = await answersOf(detector, all, AbortSignal.abort());
  for (const answer of before.values()) assert.ok(!('detections' in answer), 'a verdict after the end');
  const abort = new AbortController();
  const ids = new Set<string>();
  const [clean] = all;
  if (clean === undefined) return;
  for await (const { subject } of detector.detect(many(clean), abort.signal)) {
    assert.ok(!ids.has(subject), `two answers for ${subject}`);
    ids.add(subject);
    abort.abort();
  }
}

const prospectOf = (subject: Subject): Prospect =>
  subject.kind === 'file' ? { kind: 'file', facts: subject.facts } : { kind: 'process' };

const many = (subject: Subject): Subject[] =>
  Array.from({ length: MANY }, (_, copy) => ({ ...subject, id: `many-${copy}` }));

async function answerFor(detector: Detector, subject: Subject): Promise<Answer> {
  const answer = (await answersOf(detector, [subject])).get(subject.id);
  assert.ok(answer, `no answer for ${subject.id}`);
  return answer;
}

/** The processes that this one has started and that still run. */
function children(): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === String(process.pid));
}

/** The fourth field of proc_pid_stat(5), counted after the name, which may hold anything. */
function parentOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1];
  } catch {
    return undefined;
  }
}

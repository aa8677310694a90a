/**
 * What every detector keeps to, whatever it looks for. A plugin's author calls it in a test file:
 *
 *   detectorSuite('my-detector', { open: () => …, samples: { malicious: fileSubject('…'), … } });
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Answer,
  type Detector,
  type FileSubject,
  type ProcessSubject,
  type Prospect,
  type Subject,
  UNSCANNED_REASONS,
} from '../../core/api/index.ts';
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

export function detectorSuite(name: string, { open, samples }: DetectorTrial): void {
  describe(`${name} as a detector`, () => {
    const opened: Detector[] = [];
    const fresh = async (): Promise<Detector> => {
      const detector = await open();
      opened.push(detector);
      return detector;
    };
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((detector) => detector.close()));
    });
    const all = [samples.clean, samples.malicious, ...samples.malformed];
    const vanished = samples.vanished === undefined ? [] : [samples.vanished];

    it('says who it is and how much it takes', async () => {
      const { engine, problems, concurrency } = await fresh();
      for (const text of [engine.name, engine.version, engine.signatures]) expect(text).not.toBe('');
      expect(engine.signatureCount).toBeGreaterThan(0);
      expect(problems).toEqual([]);
      expect(Number.isInteger(concurrency) && concurrency >= 1).toBe(true);
    });

    it('says what it wants, always the same of the same', async () => {
      const detector = await fresh();
      for (const subject of all) {
        const prospect = Object.freeze(prospectOf(subject));
        expect([detector.wants(prospect), detector.wants(prospect)]).toEqual([true, true]);
      }
    });

    it('finds what it is for, in words that fit', async () => {
      const answer = await answerFor(await fresh(), samples.malicious);
      if (!('detections' in answer)) throw new Error(`not scanned: ${JSON.stringify(answer)}`);
      expect(answer.detections).not.toEqual([]);
      for (const { judgement, name, attack = [] } of answer.detections) {
        expect(['malicious', 'suspicious']).toContain(judgement);
        expect(name).toMatch(/^.{1,200}$/su);
        for (const technique of attack) expect(technique).toMatch(/^T\d{4}(\.\d{3})?$/);
      }
    });

    it('finds nothing in what is clean', async () => {
      expect(await answerFor(await fresh(), samples.clean)).toEqual({
        subject: samples.clean.id,
        detections: [],
      });
    });

    it('answers each subject once, the malformed and the vanished too', async () => {
      const subjects = [
        ...all,
        ...vanished,
        ...all.map((subject, copy) => ({ ...subject, id: `copy-${copy}` })),
      ];
      const answers = await answersOf(await fresh(), subjects);
      expect([...answers.keys()].sort()).toEqual(subjects.map(({ id }) => id).sort());
    });

    for (const subject of vanished) {
      it('never takes a content that it could not read for clean', async () => {
        const answer = await answerFor(await fresh(), subject);
        if (!('unscanned' in answer)) throw new Error('it has a verdict');
        expect(UNSCANNED_REASONS).toContain(answer.unscanned);
      });
    }

    it('answers nothing when asked nothing', async () => {
      expect(await answersOf(await fresh(), [])).toEqual(new Map());
    });

    it('answers calls that overlap, each its own', async () => {
      const detector = await fresh();
      const calls = Array.from({ length: detector.concurrency }, (_, call) =>
        all.map((subject, copy) => ({ ...subject, id: `${call}-${copy}` })),
      );
      const answers = await Promise.all(calls.map((subjects) => answersOf(detector, subjects)));
      for (const [call, subjects] of calls.entries()) {
        expect([...(answers[call] ?? new Map()).keys()].sort()).toEqual(subjects.map(({ id }) => id).sort());
      }
    });

    it('ends when it is aborted, and calls nothing clean that it did not look at', async () => {
      const detector = await fresh();
      const before = await answersOf(detector, all, AbortSignal.abort());
      for (const answer of before.values()) expect(answer).not.toHaveProperty('detections');
      const abort = new AbortController();
      const ids = new Set<string>();
      for await (const { subject } of detector.detect(many(samples.clean), abort.signal)) {
        expect(ids.has(subject)).toBe(false);
        ids.add(subject);
        abort.abort();
      }
    });

    it('bears a caller who leaves early', async () => {
      const detector = await fresh();
      for await (const _ of detector.detect(many(samples.clean), never)) break;
      expect(await answerFor(detector, samples.malicious)).toHaveProperty('detections');
    });

    it('leaves no process behind when it is closed, however often', async () => {
      const before = children();
      const detector = await open();
      await answersOf(detector, all);
      await Promise.all([detector.close(), detector.close()]);
      await detector.close();
      expect(children()).toEqual(before);
    });
  });
}

const prospectOf = (subject: FileSubject | ProcessSubject): Prospect =>
  subject.kind === 'file' ? { kind: 'file', facts: subject.facts } : { kind: 'process' };

const many = (subject: Subject): Subject[] =>
  Array.from({ length: MANY }, (_, copy) => ({ ...subject, id: `many-${copy}` }));

async function answerFor(detector: Detector, subject: Subject): Promise<Answer> {
  const answer = (await answersOf(detector, [subject])).get(subject.id);
  if (answer === undefined) throw new Error(`no answer for ${subject.id}`);
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

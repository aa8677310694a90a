/**
 * The turns at one detector. However many scans there are, no more calls are under way than it allows; who
 * waits gets a place in the order of scans, one batch each in turn, so that a guest with ten files does not
 * wait for one with a million.
 */
import type { Answer, Detector, Subject, UnscannedReason } from '../api/index.ts';
import { type Asker, Turns } from './turns.ts';

export class Lane {
  /** A detector has one lane wherever it is asked from, and it is gone with the detector. */
  private static readonly all = new WeakMap<Detector, Lane>();

  private readonly detector: Detector;
  private readonly turns: Turns;

  private constructor(detector: Detector) {
    this.detector = detector;
    this.turns = new Turns(detector.concurrency);
  }

  static of(detector: Detector): Lane {
    const lane = Lane.all.get(detector) ?? new Lane(detector);
    Lane.all.set(detector, lane);
    return lane;
  }

  /**
   * An answer for each subject; of those that the detector leaves out or fails on, that it did. Resolves as soon
   * as `signal` is aborted, whatever the detector does then; its place is free again when it has ended.
   */
  async ask(subjects: readonly Subject[], asker: Asker, signal: AbortSignal): Promise<Map<string, Answer>> {
    const answers = new Map<string, Answer>();
    const failure = await unlessAborted(this.collect(subjects, answers, asker, signal), signal);
    const taken = new Map(answers);
    for (const { id } of subjects) if (!taken.has(id)) taken.set(id, unanswered(id, failure, signal));
    return taken;
  }

  /** Puts in the answers as they come. Resolves, when the detector has ended, with the error that it ended with. */
  private async collect(
    subjects: readonly Subject[],
    answers: Map<string, Answer>,
    asker: Asker,
    signal: AbortSignal,
  ): Promise<{ readonly error: unknown } | undefined> {
    if (!(await this.turns.enter(asker, signal))) return undefined;
    try {
      const open = new Set(subjects.map(({ id }) => id));
      for await (const answer of this.detector.detect(subjects, signal)) {
        if (open.delete(answer.subject)) answers.set(answer.subject, answer);
      }
      return undefined;
    } catch (error) {
      return { error };
    } finally {
      this.turns.leave();
    }
  }
}

function unanswered(
  subject: string,
  failure: { readonly error: unknown } | undefined,
  signal: AbortSignal,
): Answer {
  if (signal.aborted) return { subject, unscanned: 'cancelled' };
  const unscanned: UnscannedReason = failure ? 'engine-failed' : 'no-answer';
  return { subject, unscanned, ...(failure && { detail: messageOf(failure.error) }) };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What `work` resolves with, or undefined as soon as the signal is aborted. */
async function unlessAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
): Promise<Result | undefined> {
  if (signal.aborted) return undefined;
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const giveUp = (): void => resolve(undefined);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

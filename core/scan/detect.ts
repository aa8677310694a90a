/**
 * Detecting: subjects go to every detector that wants them, in batches, as many at once as each detector
 * takes. Whatever a detector leaves out, throws or does not finish becomes an answer of its own: `unscanned`.
 */
import type { Answer, Detector, Prospect, Subject } from '../api/index.ts';
import { judge, type Verdict } from './verdict.ts';

/** A set-up detector under the name of its plugin. */
export interface NamedDetector {
  readonly id: string;
  readonly detector: Detector;
}

export class Detection {
  private readonly lanes: readonly Lane[];

  constructor(detectors: readonly NamedDetector[]) {
    this.lanes = detectors.map((named) => new Lane(named));
  }

  /** The detectors that look at such a subject, as one word; empty when nobody does. */
  interest(prospect: Prospect): string {
    let interest = '';
    for (const lane of this.lanes) if (lane.wants(prospect)) interest += `+${lane.id}`;
    return interest;
  }

  /** A verdict for each subject, by its id. Does not reject. */
  async verdicts(subjects: readonly Subject[], signal: AbortSignal): Promise<Map<string, Verdict>> {
    const answers = await Promise.all(this.lanes.map((lane) => lane.ask(subjects, signal)));
    return new Map(
      subjects.map(({ id }) => {
        const own = this.lanes.flatMap((lane, index) => {
          const answer = answers[index]?.get(id);
          return answer ? [{ detector: lane.id, answer }] : [];
        });
        return [id, judge(own)];
      }),
    );
  }
}

/** One detector and the turns of those who wait for it. */
class Lane {
  readonly id: string;
  private readonly detector: Detector;
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor({ id, detector }: NamedDetector) {
    this.id = id;
    this.detector = detector;
    this.free = detector.concurrency;
  }

  wants(prospect: Prospect): boolean {
    return this.detector.wants(prospect);
  }

  /** An answer for each subject that the detector wants. */
  async ask(subjects: readonly Subject[], signal: AbortSignal): Promise<Map<string, Answer>> {
    const wanted = subjects.filter((subject) => this.wants(subject));
    const answers = new Map<string, Answer>();
    if (wanted.length === 0) return answers;
    await this.enter();
    try {
      const open = new Set(wanted.map((subject) => subject.id));
      for await (const answer of this.detector.detect(wanted, signal)) {
        if (open.delete(answer.subject)) answers.set(answer.subject, answer);
      }
      const unscanned = signal.aborted ? 'cancelled' : 'no-answer';
      for (const subject of open) answers.set(subject, { subject, unscanned });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      const unscanned = signal.aborted ? 'cancelled' : 'engine-failed';
      for (const { id: subject } of wanted) {
        if (!answers.has(subject)) answers.set(subject, { subject, unscanned, detail });
      }
    } finally {
      this.leave();
    }
    return answers;
  }

  private async enter(): Promise<void> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private leave(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free += 1;
  }
}

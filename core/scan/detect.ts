/**
 * Detecting: subjects go to every detector that wants them, in batches, in turn with other scans. Whatever a
 * detector leaves out, throws or does not finish becomes an answer of its own: `unscanned`.
 */
import type { Answer, Detector, Prospect, Subject } from '../api/index.ts';
import { Lane } from './lane.ts';
import { Pace } from './pace.ts';
import { judge, type Verdict } from './verdict.ts';

/** A set-up detector under the name of its plugin. */
export interface NamedDetector {
  readonly id: string;
  readonly detector: Detector;
}

/** A subject, and the detectors that are asked about it. */
export interface Asked {
  readonly subject: Subject;
  readonly detectors: ReadonlySet<string>;
}

/** The detectors as one scan sees them. */
export class Detection {
  private readonly detectors: readonly NamedDetector[];
  private readonly pace: Pick<Pace, 'working'>;

  /** `pace`: of the guest, which is not waited for while detectors work. */
  constructor(detectors: readonly NamedDetector[], pace: Pick<Pace, 'working'> = new Pace()) {
    this.detectors = detectors;
    this.pace = pace;
  }

  /** The detectors that look at such a subject, as one word; empty when nobody does. */
  interest(prospect: Prospect): string {
    let interest = '';
    for (const { id, detector } of this.detectors) if (detector.wants(prospect)) interest += `+${id}`;
    return interest;
  }

  /** A verdict for each subject, by its id. Does not reject, and resolves as soon as `signal` is aborted. */
  async verdicts(subjects: readonly Subject[], signal: AbortSignal): Promise<Map<string, Verdict>> {
    const answers = await Promise.all(
      this.detectors.map(({ detector }) => this.ask(detector, subjects, signal)),
    );
    return new Map(
      subjects.map(({ id }) => {
        const own = this.detectors.flatMap(({ id: detector }, index) => {
          const answer = answers[index]?.get(id);
          return answer ? [{ detector, answer }] : [];
        });
        return [id, judge(own)];
      }),
    );
  }

  /** What each detector that is asked answers, by subject and detector. Does not reject, as `verdicts`. */
  async answers(asked: readonly Asked[], signal: AbortSignal): Promise<Map<string, Map<string, Answer>>> {
    const answers = new Map(asked.map(({ subject }) => [subject.id, new Map<string, Answer>()]));
    await Promise.all(
      this.detectors.map(async ({ id, detector }) => {
        const own = asked.filter(({ detectors }) => detectors.has(id)).map(({ subject }) => subject);
        for (const [subject, answer] of await this.ask(detector, own, signal)) {
          answers.get(subject)?.set(id, answer);
        }
      }),
    );
    return answers;
  }

  private async ask(
    detector: Detector,
    subjects: readonly Subject[],
    signal: AbortSignal,
  ): Promise<Map<string, Answer>> {
    const wanted = subjects.filter((subject) => detector.wants(subject));
    return wanted.length > 0 ? this.pace.working(Lane.of(detector).ask(wanted, this, signal)) : new Map();
  }
}

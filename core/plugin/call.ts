/** One call of `detect` on a child process: answers as they come, checked against what was asked. */
import type { Answer } from '../api/index.ts';
import { MAX_DETECTIONS } from './messages.ts';

/** What a plugin said beyond its bounds. */
export interface Excess {
  /** Answers for subjects that were not asked for, or twice. */
  unasked: number;
  /** Detections beyond those that are kept of one subject, or of one call. */
  cut: number;
}

/** Detections kept of one call. */
const MAX_PER_CALL = 1_000;

export class Call {
  readonly excess: Excess;
  private readonly open: Set<string>;
  private readonly queue: Answer[] = [];
  private kept = 0;
  private outcome: { readonly error?: Error } | undefined;
  private wake: () => void = () => undefined;

  constructor(subjects: readonly string[], excess: Excess) {
    this.open = new Set(subjects);
    this.excess = excess;
  }

  /** False when nobody asked. */
  take(answer: Answer): boolean {
    if (!this.open.delete(answer.subject)) return false;
    this.queue.push('detections' in answer ? this.bounded(answer) : answer);
    this.wake();
    return true;
  }

  end(error?: Error): void {
    this.outcome ??= error === undefined ? {} : { error };
    this.wake();
  }

  async *answers(): AsyncGenerator<Answer> {
    for (;;) {
      for (let next = this.queue.shift(); next; next = this.queue.shift()) yield next;
      if (this.outcome?.error) throw this.outcome.error;
      if (this.outcome) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** One detection is always kept: what was found stays found. */
  private bounded(answer: Extract<Answer, { detections: unknown }>): Answer {
    const room = Math.max(1, Math.min(MAX_DETECTIONS, MAX_PER_CALL - this.kept));
    const detections = answer.detections.slice(0, room);
    this.kept += detections.length;
    this.excess.cut += answer.detections.length - detections.length;
    return { subject: answer.subject, detections };
  }
}

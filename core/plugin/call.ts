/** One call of `detect` on a child process: answers as they come, checked against what was asked, and in time. */
import type { Answer } from '../api/index.ts';

/** What a plugin said beyond its bounds. */
export interface Excess {
  /** Messages that nobody asked for: answers for other subjects, or a second time. */
  unasked: number;
  /** Detections and starts beyond those that are kept of one subject, or of one call. */
  cut: number;
}

export interface CallLimits {
  /** Without an answer. */
  readonly fileMs: number;
  readonly batchMs: number;
}

/** Statements that are kept of one subject, and of one call. */
const MAX_PER_SUBJECT = 64;
const MAX_PER_CALL = 1_000;

export class Call {
  private readonly open: Set<string>;
  private readonly excess: Excess;
  private readonly limits: CallLimits;
  private readonly onLate: (reason: string) => void;
  private readonly batchTimer: NodeJS.Timeout;
  private fileTimer: NodeJS.Timeout;
  private readonly queue: Answer[] = [];
  private kept = 0;
  private outcome: { readonly error?: Error } | undefined;
  private wake: () => void = () => undefined;

  /** `onLate` is told, at most once for each limit, that one has passed before the call has ended. */
  constructor(
    subjects: readonly string[],
    limits: CallLimits,
    excess: Excess,
    onLate: (reason: string) => void,
  ) {
    this.open = new Set(subjects);
    this.excess = excess;
    this.limits = limits;
    this.onLate = onLate;
    this.batchTimer = this.within(limits.batchMs);
    this.fileTimer = this.within(limits.fileMs);
  }

  /** False when nobody asked. */
  take(answer: Answer): boolean {
    if (!this.open.delete(answer.subject)) return false;
    if (this.outcome !== undefined) return true;
    this.expectNext();
    this.queue.push('detections' in answer ? this.bounded(answer) : answer);
    this.wake();
    return true;
  }

  /** Nobody waits for its answers any more. The child still has to come to an end, in the time of one file. */
  cancel(): void {
    if (this.outcome === undefined) this.expectNext();
    this.conclude({});
  }

  /** The child has ended it, or has itself ended. */
  end(error?: Error): void {
    clearTimeout(this.batchTimer);
    clearTimeout(this.fileTimer);
    this.conclude(error === undefined ? {} : { error });
  }

  /** As they come; then throws the error that it ended with. */
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

  private conclude(outcome: { readonly error?: Error }): void {
    this.outcome ??= outcome;
    this.wake();
  }

  private expectNext(): void {
    clearTimeout(this.fileTimer);
    this.fileTimer = this.within(this.limits.fileMs);
  }

  private within(limit: number): NodeJS.Timeout {
    return setTimeout(() => this.onLate(`it did not answer within ${limit} ms`), limit);
  }

  /** One detection is always kept: what was found stays found. */
  private bounded({ subject, detections, starts }: Extract<Answer, { detections: unknown }>): Answer {
    const found = this.keep(detections, 1);
    return { subject, detections: found, ...(starts && { starts: this.keep(starts, 0) }) };
  }

  private keep<One>(said: readonly One[], least: number): readonly One[] {
    const kept = said.slice(0, Math.max(least, Math.min(MAX_PER_SUBJECT, MAX_PER_CALL - this.kept)));
    this.kept += kept.length;
    this.excess.cut += said.length - kept.length;
    return kept;
  }
}

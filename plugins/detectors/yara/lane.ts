import type { Runner, RunnerSource } from './engine.ts';
import type { Reply, Request } from './scanner.ts';

/** What became of a call. `abandoned`: it was not its turn yet when its lane ended. */
export type CallOutcome =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'deadline' | 'died'; readonly detail: string }
  | { readonly kind: 'abandoned' };

interface Call {
  readonly deadlineMs: number;
  readonly settle: (outcome: CallOutcome) => void;
}

/**
 * One runner and the calls that wait for it. Calls are answered in order, so whatever ends the runner, a crash
 * or a deadline, is the doing of the first that is open. The clock of a call starts when its turn comes.
 */
export class Lane {
  /** Replies so far; none yet when the runner could not even start. */
  replies = 0;
  private readonly calls: Call[] = [];
  private readonly runner: Runner;
  private turnSince = 0;
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Number.POSITIVE_INFINITY;
  private killedFor: 'deadline' | 'close' | undefined;

  constructor(source: RunnerSource, ended: (detail: string) => void) {
    this.runner = source.start({
      reply: (reply) => this.answered(reply),
      ended: (detail) => {
        this.finish(detail);
        ended(detail);
      },
    });
  }

  get open(): number {
    return this.calls.length;
  }

  call(request: Request, deadlineMs: number, settle: Call['settle']): void {
    this.calls.push({ deadlineMs, settle });
    if (this.calls.length === 1) this.nextTurn();
    this.runner.post(request);
  }

  close(): void {
    this.killedFor ??= 'close';
    this.runner.kill();
  }

  private answered(reply: Reply): void {
    if (this.killedFor !== undefined) return;
    const call = this.calls.shift();
    this.replies++;
    this.nextTurn();
    call?.settle({ kind: 'reply', reply });
  }

  /** Leaves a timer that is due no later than the new turn: when it fires too early it is set again. */
  private nextTurn(): void {
    const [first] = this.calls;
    if (first === undefined) return;
    this.turnSince = performance.now();
    if (this.turnSince + first.deadlineMs < this.timerAt) this.watch();
  }

  private watch(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
    const left = this.left();
    if (left === undefined) return;
    this.timerAt = performance.now() + left;
    this.timer = setTimeout(
      () => {
        // A reply may have come and not been read yet, when this process was held up: read first.
        setImmediate(() => ((this.left() ?? 1) > 0 ? this.watch() : this.overdue()));
      },
      Math.max(left, 1),
    );
  }

  /** Milliseconds that the present turn has left. */
  private left(): number | undefined {
    const [first] = this.calls;
    return first === undefined ? undefined : this.turnSince + first.deadlineMs - performance.now();
  }

  private overdue(): void {
    this.killedFor ??= 'deadline';
    this.runner.kill();
  }

  private finish(detail: string): void {
    clearTimeout(this.timer);
    for (const [turn, { settle }] of this.calls.splice(0).entries()) {
      if (turn > 0 || this.killedFor === 'close') settle({ kind: 'abandoned' });
      else settle({ kind: this.killedFor ?? 'died', detail });
    }
  }
}

/** What is told to one who listens at a pace of its own: in order, and bounded. */
import { OperationError } from './error.ts';

const MOST_WAITING = 10_000;

export class Follower<Event> {
  private readonly waiting: Event[] = [];
  private readonly isReplaceable: (event: Event) => boolean;
  private wake = Promise.withResolvers<void>();
  private over = false;
  private overrun = false;

  /** Of several replaceable ones that wait in a row, the newest is enough. */
  constructor(isReplaceable: (event: Event) => boolean) {
    this.isReplaceable = isReplaceable;
  }

  tell(event: Event): void {
    if (this.over) return;
    const last = this.waiting.at(-1);
    if (last !== undefined && this.isReplaceable(last) && this.isReplaceable(event)) this.waiting.pop();
    this.waiting.push(event);
    if (this.waiting.length > MOST_WAITING) {
      this.overrun = true;
      this.end();
    }
    this.wake.resolve();
  }

  /** What waits is still given out. */
  end(): void {
    this.over = true;
    this.wake.resolve();
  }

  /** Until the end, or an abort. Rejects with OperationError `slow-reader` for one who was left too far behind. */
  async *events(signal: AbortSignal): AsyncGenerator<Event> {
    const onAbort = (): void => this.wake.resolve();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        if (this.overrun)
          throw new OperationError('slow-reader', 'too much happened meanwhile: follow it again');
        const event = this.waiting.shift();
        if (event !== undefined) yield event;
        else if (this.over) return;
        else await this.next();
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  private async next(): Promise<void> {
    this.wake = Promise.withResolvers();
    await this.wake.promise;
  }
}

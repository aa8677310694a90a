import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest that other requests wait for work that is done in one go. */
const TURN_MS = 10;

/** Lets others have their turn in the midst of long work. */
export class Turns {
  private ends = performance.now() + TURN_MS;

  /** Waits when the turn is over; rejects when nobody wants the work any more. */
  async next(signal: AbortSignal): Promise<void> {
    if (performance.now() < this.ends) return;
    await nextTurn();
    signal.throwIfAborted();
    this.ends = performance.now() + TURN_MS;
  }
}

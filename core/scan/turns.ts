/** A number of places, and fair turns at them: each of those who ask gets one in turn, however often it asks. */

/** Whose turn it is: the same object for all that one scan asks. */
export type Asker = object;

export class Turns {
  private free: number;
  /** Those who wait, by asker; the one whose turn is next comes first. */
  private readonly waiting = new Map<Asker, (() => void)[]>();

  constructor(places: number) {
    this.free = places;
  }

  /** Resolves with true when there is a place, and with false, without one, when the signal is aborted before. */
  async enter(asker: Asker, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.free > 0) {
      this.free -= 1;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const proceed = (): void => resolve(true);
    const giveUp = (): void => {
      this.withdraw(asker, proceed);
      resolve(false);
    };
    this.waiting.set(asker, [...(this.waiting.get(asker) ?? []), proceed]);
    signal.addEventListener('abort', giveUp, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  /** Gives a place back, to the one whose turn it is. */
  leave(): void {
    const [next] = this.waiting;
    if (!next) {
      this.free += 1;
      return;
    }
    const [asker, [proceed, ...others]] = next;
    this.waiting.delete(asker);
    if (others.length > 0) this.waiting.set(asker, others);
    proceed?.();
  }

  private withdraw(asker: Asker, proceed: () => void): void {
    const others = this.waiting.get(asker)?.filter((other) => other !== proceed) ?? [];
    if (others.length > 0) this.waiting.set(asker, others);
    else this.waiting.delete(asker);
  }
}

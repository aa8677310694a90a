/** From a reader to the host: what was answered is passed on as it is, at the host's pace. */
import { encodeLine } from '../../protocol/index.ts';
import type { Answered } from '../reader/reader.ts';
import type { Work } from '../reader/work.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';

/** Answers that are on their way to the host at one time. */
const ON_THEIR_WAY = 3;

export class Outflow {
  private readonly exchange: Exchange;
  private onTheirWay = 0;
  private wake: (() => void) | undefined;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
    exchange.signal.addEventListener('abort', () => this.wake?.());
  }

  /** Resolves when more may be sent; rejects when nobody reads any more. */
  async send({ payload, release }: Pick<Answered, 'payload' | 'release'>): Promise<void> {
    const { signal, stream } = this.exchange;
    signal.throwIfAborted();
    if (payload.length === 0) return release();
    this.onTheirWay++;
    stream.write(payload, () => {
      this.onTheirWay--;
      release();
      this.wake?.();
    });
    while (this.onTheirWay >= ON_THEIR_WAY) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wake = resolve;
      await promise;
      signal.throwIfAborted();
    }
  }
}

export interface SendOptions {
  /** Sent where there was nothing to tell for a while, of which the host awaits a sign. */
  readonly sign?: { readonly line: unknown; readonly afterMs: number };
}

/** Sends all that the work comes to, which is ended then. Rejects when nobody reads any more. */
export async function sendAll(
  exchange: Exchange,
  work: Work,
  pace: Pace,
  { sign }: SendOptions = {},
): Promise<void> {
  const { signal } = exchange;
  const outflow = new Outflow(exchange);
  let toldAt = performance.now();
  try {
    for (let ahead: Promise<Answered> | undefined; ; ) {
      const answered = await orAborted(ahead ?? work.next(), signal);
      const pause = pace.next(signal, answered.read);
      // The next is worked at while this is sent, unless it must wait for its turn.
      ahead = answered.isDone || pause ? undefined : handled(work.next());
      if (answered.payload.length > 0) toldAt = performance.now();
      await outflow.send(answered);
      if (sign && performance.now() - toldAt >= sign.afterMs) {
        toldAt = performance.now();
        await outflow.send({ payload: encodeLine(sign.line), release: () => undefined });
      }
      if (pause) await pause;
      if (answered.isDone) break;
    }
  } finally {
    work.end();
  }
}

/** What works ahead may fail when nobody waits for it any more. */
export function handled<Result>(work: Promise<Result>): Promise<Result> {
  work.catch(() => undefined);
  return work;
}

/** As the promise, but no later than the host wants it. */
export async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([handled(work), promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

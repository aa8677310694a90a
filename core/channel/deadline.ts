import type { DEADLINES } from '../../protocol/index.ts';
import { ChannelError } from './error.ts';

/** The deadlines of the contract, in milliseconds; tests shorten them. */
export type Deadlines = { readonly [Name in keyof typeof DEADLINES]: number };

/** How a step that waits for events ends. */
export interface Settle<T> {
  resolve(value: T): void;
  reject(error: ChannelError): void;
}

/**
 * Runs one step of opening a channel: rejects with `late()` past the deadline and with `cancelled` on abort.
 * `begin` starts it and returns what undoes its listeners, which is called once, however the step ends.
 */
export function step<T>(
  within: number,
  signal: AbortSignal | undefined,
  late: () => ChannelError,
  begin: (settle: Settle<T>) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(signal));
    const timer = setTimeout(() => afterPendingInput(() => settle.reject(late())), within);
    const onAbort = () => settle.reject(cancelled(signal));
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      undo();
    };
    const settle: Settle<T> = {
      resolve: (value) => {
        finish();
        resolve(value);
      },
      reject: (error) => {
        finish();
        reject(error);
      },
    };
    signal?.addEventListener('abort', onAbort);
    const undo = begin(settle);
  });
}

export const cancelled = (signal: AbortSignal | undefined): ChannelError =>
  new ChannelError('cancelled', 'the work was cancelled', { cause: signal?.reason });

/**
 * Timers run before input in each turn of the event loop. When this process itself was held up, a deadline can
 * thus pass with the answer already in the socket: let that be read first.
 */
export function afterPendingInput(run: () => void): void {
  setImmediate(() => setImmediate(run));
}

/** The time that deliveries go by: tests have one of their own. */
export interface DeliveryClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after so many milliseconds, or at once when `signal` is aborted. Does not reject. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: DeliveryClock = {
  now: Date.now,
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      signal.addEventListener('abort', end);
    }),
};

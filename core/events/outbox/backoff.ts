/** How long to wait before a sink is tried again. */

const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;
/** What a receiver may ask for with Retry-After. */
const LONGEST_ASKED_MS = 3_600_000;

/**
 * Doubles with every failure in a row, up to a minute. Between half of that and all of it, at random, so that many
 * hosts do not come back in one moment; never sooner than the receiver asked for.
 */
export function backoff(failures: number, random: () => number, retryAfter = 0): number {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 16));
  const jittered = whole * (0.5 + random() / 2);
  return Math.ceil(Math.max(jittered, Math.min(retryAfter, LONGEST_ASKED_MS)));
}

/** How often, and when, a scan is tried again that nobody asked for and that failed. */

const MINUTE = 60_000;
/** Doubles with each failure in a row: the last of them is tried half an hour after the first, or a little sooner. */
const FIRST_MS = MINUTE;
export const MOST_RETRIES = 5;

/** A configuration, or what the guest allows, does not mend itself. */
const LASTING: ReadonlySet<string> = new Set(['no-detectors', 'not-permitted']);

export class Retries {
  private readonly random: () => number;
  /** By guest, in a row. */
  private readonly failures = new Map<string, number>();

  constructor(random: () => number = Math.random) {
    this.random = random;
  }

  /** After so many milliseconds it is tried again; undefined: not any more. At random, so that guests do not come back in one moment. */
  failed(vm: string, code: string | undefined): number | undefined {
    const failures = (this.failures.get(vm) ?? 0) + 1;
    this.failures.set(vm, failures);
    if (failures > MOST_RETRIES || (code !== undefined && LASTING.has(code))) return undefined;
    return Math.ceil(FIRST_MS * 2 ** (failures - 1) * (0.5 + this.random() / 2));
  }

  /** It succeeded, it came due anew, or it is looked after no more. */
  reset(vm: string): void {
    this.failures.delete(vm);
  }
}

import { ClamdError } from './clamd-error.ts';

/** Failures in a row after which clamd is left alone. */
const FAILURES = 5;
/** At first for a moment, as it may just be starting again; twice as long each time. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Leaves clamd alone for a while when it fails again and again, so that a scan does not wait for it with every
 * file. After the pause one request goes through; how it ends decides.
 */
export class Breaker {
  private readonly socket: string;
  private failures = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private restsUntil = 0;
  private last = '';

  constructor(socket: string) {
    this.socket = socket;
  }

  /** Throws ClamdError `resting` while clamd is left alone. */
  enter(): void {
    if (this.failures < FAILURES) return;
    const now = performance.now();
    if (now < this.restsUntil) {
      const seconds = Math.ceil((this.restsUntil - now) / 1000);
      const message = `clamd at ${this.socket} does not answer: ${this.last}; tried ${this.failures} times, again in ${seconds} s`;
      throw new ClamdError('resting', message);
    }
    this.restsUntil = now + this.pauseMs;
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
  }

  succeeded(): void {
    this.failures = 0;
    this.pauseMs = FIRST_PAUSE_MS;
  }

  failed(error: Error): void {
    this.failures += 1;
    this.last = error.message;
    this.restsUntil = performance.now() + this.pauseMs;
  }
}

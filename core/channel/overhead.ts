/**
 * The guard against floods. Node's HTTP/2 reads the socket natively, where no JavaScript sees a frame, so this
 * counts from both ends instead: bytes on the socket, less bytes of payload that came out. What lies between is
 * overhead, whatever it is made of (SETTINGS, PING, RST_STREAM, WINDOW_UPDATE, headers, empty or tiny DATA,
 * tiny TLS records), and a guest has an allowance of it (`ALLOWANCE`). It costs the hot path nothing.
 */
import { ALLOWANCE } from '../../protocol/index.ts';

export class OverheadAccount {
  private allowance: number = ALLOWANCE.overheadBurst;
  private forgiven = 0;
  private received = 0;
  private payload = 0;
  private settledAt: number;

  /** `now` in milliseconds, monotonic. */
  constructor(now: number) {
    this.settledAt = now;
  }

  /** Bytes that may come and be nobody's payload, because we cancelled what they belong to. */
  forgive(bytes: number): void {
    this.forgiven += bytes;
  }

  /** Takes the totals so far; false when the allowance is overdrawn. */
  settle(received: number, payload: number, now: number): boolean {
    const newPayload = payload - this.payload;
    const overhead = received - this.received - newPayload;
    const earned =
      newPayload * ALLOWANCE.overheadPerPayload +
      ((now - this.settledAt) / 1000) * ALLOWANCE.overheadPerSecond;
    this.allowance = Math.min(this.allowance + earned - overhead, ALLOWANCE.overheadBurst);
    if (this.allowance < 0) {
      const used = Math.min(this.forgiven, -this.allowance);
      this.forgiven -= used;
      this.allowance += used;
    }
    this.received = received;
    this.payload = payload;
    this.settledAt = now;
    return this.allowance >= 0;
  }
}

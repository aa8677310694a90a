/**
 * The host's time: as it was told at login, carried on by a clock that nobody can set. The guest's own may say
 * anything, and expiries are the host's.
 */
export class HostClock {
  private readonly hostTime: number;
  private readonly toldAt = performance.now();

  /** Milliseconds since 1970. */
  constructor(hostTime: number) {
    this.hostTime = hostTime;
  }

  now(): number {
    return this.hostTime + (performance.now() - this.toldAt);
  }
}

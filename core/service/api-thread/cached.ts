/**
 * What somebody else knows, and is asked for no more often than needed: an answer that is young enough stands, one
 * that is a little older stands while it is asked for again.
 */
export class Cached<T> {
  private readonly load: () => Promise<T>;
  private readonly clock: () => number;
  private value: { readonly of: T; readonly at: number } | undefined;
  private loading: Promise<T> | undefined;
  private serial = 0;

  /** `clock`: milliseconds, of which the differences count. */
  constructor(load: () => Promise<T>, clock: () => number = () => performance.now()) {
    this.load = load;
    this.clock = clock;
  }

  /** Rejects as `load` does, when there is nothing that stands. */
  get({ fresh, stale }: { readonly fresh: number; readonly stale: number }): Promise<T> {
    const age = this.value === undefined ? Number.POSITIVE_INFINITY : this.clock() - this.value.at;
    if (this.value !== undefined && age <= fresh) return Promise.resolve(this.value.of);
    const renewed = this.renew();
    if (this.value === undefined || age > stale) return renewed;
    // Whoever asks next is told of the failure.
    renewed.catch(() => undefined);
    return Promise.resolve(this.value.of);
  }

  /** What is known does not hold any more: whoever asks from now on waits for what is so now. */
  forget(): void {
    this.value = undefined;
    this.loading = undefined;
    this.serial += 1;
  }

  private renew(): Promise<T> {
    this.loading ??= this.ask(this.serial);
    return this.loading;
  }

  private async ask(serial: number): Promise<T> {
    const begun = this.clock();
    try {
      const of = await this.load();
      if (serial === this.serial) this.value = { of, at: begun };
      return of;
    } finally {
      if (serial === this.serial) this.loading = undefined;
    }
  }
}

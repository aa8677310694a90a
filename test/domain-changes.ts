/** What a hypervisor tells of its guests, for tests that wait for it. */
import type { DomainChange, DomainChangeKind, HypervisorPort } from '../core/hypervisor/port.ts';

type Wanted = (change: DomainChange) => boolean;

export class DomainChanges implements Disposable {
  readonly seen: DomainChange[] = [];
  private readonly watch: Disposable;
  private waiting: { readonly wanted: Wanted; readonly resolve: (change: DomainChange) => void }[] = [];
  private read = 0;

  constructor(port: HypervisorPort) {
    this.watch = port.watch((change) => this.take(change));
  }

  /** The next change of this kind (and of this guest) after the last that was waited for. */
  async next(kind: DomainChangeKind, name?: string): Promise<DomainChange> {
    return this.where(
      (change) => change.kind === kind && (name === undefined || change.domain.name === name),
    );
  }

  async where(wanted: Wanted): Promise<DomainChange> {
    const at = this.seen.findIndex((change, index) => index >= this.read && wanted(change));
    if (at >= 0) {
      this.read = at + 1;
      return this.seen[at] as DomainChange;
    }
    return new Promise((resolve) => this.waiting.push({ wanted, resolve }));
  }

  kinds(name?: string): DomainChangeKind[] {
    return this.seen
      .filter(({ domain }) => name === undefined || domain.name === name)
      .map(({ kind }) => kind);
  }

  [Symbol.dispose](): void {
    this.watch[Symbol.dispose]();
  }

  private take(change: DomainChange): void {
    this.seen.push(change);
    const met = this.waiting.filter(({ wanted }) => wanted(change));
    if (met.length > 0) this.read = this.seen.length;
    this.waiting = this.waiting.filter((one) => !met.includes(one));
    for (const { resolve } of met) resolve(change);
  }
}

/** A logger that keeps what it is told. */
export class KeptLog {
  readonly lines: { readonly level: string; readonly message: string }[] = [];
  readonly debug = (message: string): void => this.keep('debug', message);
  readonly info = (message: string): void => this.keep('info', message);
  readonly warn = (message: string): void => this.keep('warn', message);

  matching(pattern: RegExp): string[] {
    return this.lines.map(({ message }) => message).filter((message) => pattern.test(message));
  }

  private keep(level: string, message: string): void {
    this.lines.push({ level, message });
  }
}

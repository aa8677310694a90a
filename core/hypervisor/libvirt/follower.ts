/** Keeps one connection to libvirt, comes back when it was lost, and knows all domains. */
import { setTimeout as pause } from 'node:timers/promises';
import { displayText } from '../../../protocol/index.ts';
import type { Logger } from '../../api/index.ts';
import { HypervisorError } from '../error.ts';
import type { HostDomain, HypervisorStatus } from '../port.ts';
import { type Change, Domains } from './domains.ts';
import type { DomainFacts, EventMessage } from './messages.ts';
import { LibvirtProcess } from './process.ts';

export interface Pace {
  /** How often the ports of running guests are looked at: libvirt before 12.4 tells nothing of them. */
  readonly pollMs: number;
  /** Waits before the first and the later tries to connect again; each is twice the one before. */
  readonly backoffMs: { readonly first: number; readonly longest: number };
  /** Connecting, listing. */
  readonly deadlineMs: number;
}

export interface FollowerOptions extends Pace {
  readonly uri: string;
  readonly logger: Logger;
  readonly onChange: (change: Change) => void;
}

export class Follower {
  status: HypervisorStatus = { state: 'reconnecting', since: new Date(), error: undefined, attempts: 0 };
  private readonly options: FollowerOptions;
  private readonly domains = new Domains();
  private readonly abort = new AbortController();
  private readonly first = Promise.withResolvers<void>();
  private readonly done: Promise<void>;
  private process: LibvirtProcess | undefined;
  private listed = false;
  private told = new Map<string, string>();
  private lastLogged = '';

  constructor(options: FollowerOptions) {
    this.options = options;
    this.first.promise.catch(() => undefined);
    this.done = this.follow();
  }

  /** Waits for the first try to connect to end. Rejects with its error where all so far have failed. */
  async list(): Promise<readonly HostDomain[]> {
    await this.first.promise;
    const { status } = this;
    if (!this.listed && status.state === 'reconnecting' && status.error) throw status.error;
    return this.domains.all();
  }

  async get(uuid: string): Promise<HostDomain | undefined> {
    await this.list();
    return this.domains.get(uuid);
  }

  /** Looks at one domain now. Where libvirt cannot be asked, it will be looked at as soon as it can. */
  async look(uuid: string): Promise<void> {
    const { process } = this;
    if (process === undefined || this.status.state !== 'connected') return;
    try {
      await process.ask('look', { uuid }, this.options.deadlineMs, (facts) =>
        this.tell(facts === null ? this.domains.remove(uuid) : this.domains.see(facts)),
      );
    } catch (error) {
      // A connection that has ended is followed up; libvirt's other answers come again with the next look.
      if (!(error instanceof HypervisorError)) throw error;
    }
  }

  async close(): Promise<void> {
    this.abort.abort();
    await this.process?.close();
    await this.done;
    this.status = { state: 'closed' };
  }

  private async follow(): Promise<void> {
    const { signal } = this.abort;
    for (let attempts = 1; !signal.aborted; attempts += 1) {
      const error = await this.connection(() => {
        attempts = 0;
      });
      if (signal.aborted) break;
      this.down(error, attempts);
      await pause(this.backoff(attempts), undefined, { signal }).catch(() => undefined);
    }
    this.first.resolve();
  }

  /** One connection, from its start to its end; resolves with the reason. */
  private async connection(onUp: () => void): Promise<HypervisorError> {
    const process = new LibvirtProcess((event) => this.onEvent(event));
    this.process = process;
    const { uri, deadlineMs } = this.options;
    try {
      await process.ask('open', { uri, events: true }, deadlineMs);
      await process.ask('list', { active: false }, deadlineMs, (all) => {
        this.up();
        this.tell(this.domains.replaceAll(all));
      });
      onUp();
      return await this.poll(process);
    } catch (error) {
      if (error instanceof HypervisorError) return error;
      throw error;
    } finally {
      await process.close();
    }
  }

  /** Until the process ends. */
  private async poll(process: LibvirtProcess): Promise<HypervisorError> {
    const { pollMs, deadlineMs } = this.options;
    const over = new AbortController();
    void process.ended.then(() => over.abort());
    for (;;) {
      await pause(pollMs, undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) return process.ended;
      let complete = true;
      await process.ask('list', { active: true }, deadlineMs, (active) => {
        complete = this.domains.hasAllRunning(active);
        if (complete) this.tell(active.flatMap((facts) => this.domains.see(facts)));
      });
      if (complete) continue;
      const all = (facts: DomainFacts[]) => this.tell(this.domains.replaceAll(facts));
      await process.ask('list', { active: false }, deadlineMs, all);
    }
  }

  private onEvent(event: EventMessage): void {
    // Before the first list is in, it says all that there is to say.
    if (this.status.state === 'connected') this.tell(this.domains.take(event));
  }

  private tell(changes: readonly Change[]): void {
    for (const change of changes) {
      this.logFault(change.domain);
      this.options.onChange(change);
    }
  }

  /** Once, until it is another one or none. */
  private logFault({ id, name, fault }: HostDomain): void {
    const said = fault?.message;
    if (said === undefined) this.told.delete(id);
    if (said === undefined || this.told.get(id) === said) return;
    this.told.set(id, said);
    this.options.logger.warn(`${displayText(name)} cannot be reached: ${said}`, { id, code: fault?.code });
  }

  private up(): void {
    this.status = { state: 'connected', since: new Date() };
    this.listed = true;
    this.lastLogged = '';
    this.first.resolve();
    this.options.logger.info('connected to libvirt', { uri: this.options.uri });
  }

  private down(error: HypervisorError, attempts: number): void {
    const since = this.status.state === 'reconnecting' ? this.status.since : new Date();
    this.status = { state: 'reconnecting', since, error, attempts };
    this.first.resolve();
    if (error.message === this.lastLogged) return;
    this.lastLogged = error.message;
    const { uri } = this.options;
    this.options.logger.warn(`not connected to libvirt, trying again: ${error.message}`, {
      uri,
      code: error.code,
    });
  }

  private backoff(attempts: number): number {
    const { first, longest } = this.options.backoffMs;
    const wait = Math.min(longest, first * 2 ** Math.min(attempts, 30));
    // Spread, so that what was lost together does not come back together.
    return wait * (0.75 + Math.random() / 4);
  }
}

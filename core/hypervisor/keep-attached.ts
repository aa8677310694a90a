/** Sees to it that every wanted guest has the channel: those that there are, and those that come. */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { HypervisorError } from './error.ts';
import type { ChannelPorts, DomainChange, HostDomain, HypervisorPort } from './port.ts';

export interface KeepAttachedOptions {
  readonly port: HypervisorPort;
  readonly channels: ChannelPorts;
  /** Asked each time: what is detached on request must be unwanted before. */
  readonly isWanted: (domain: HostDomain) => boolean;
  readonly logger: Logger;
  /** After which time all are looked at again, for what failed. */
  readonly againMs?: number;
}

const AGAIN_MS = 60_000;

/** Until disposed of, which does not detach anything. Resolves with what is under way done. */
export class KeptAttached implements AsyncDisposable {
  private readonly options: KeepAttachedOptions;
  private readonly watch: Disposable;
  private readonly timer: NodeJS.Timeout;
  private readonly working = new Map<string, Promise<void>>();
  /** By guest: the last thing said about it, so that it is said once. */
  private readonly said = new Map<string, string>();
  private closed = false;

  constructor(options: KeepAttachedOptions) {
    this.options = options;
    this.watch = options.port.watch((change) => this.onChange(change));
    this.timer = setInterval(() => void this.all(), options.againMs ?? AGAIN_MS).unref();
    void this.all();
  }

  /** Looks at all guests now. Never rejects: what fails is logged, once. */
  async all(): Promise<void> {
    try {
      const domains = await this.options.port.listDomains();
      await Promise.all(domains.map((domain) => this.see(domain)));
    } catch (error) {
      // The port itself tells that it cannot be asked.
      if (!(error instanceof HypervisorError)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    this.watch[Symbol.dispose]();
    await Promise.all(this.working.values());
  }

  private onChange({ kind, domain }: DomainChange): void {
    if (kind === 'undefined') this.said.delete(domain.id);
    else void this.see(domain);
  }

  private see(domain: HostDomain): Promise<void> {
    const { id, port, fault } = domain;
    const under = this.working.get(id);
    if (under) return under;
    if (this.closed || port !== 'absent' || fault || !this.options.isWanted(domain)) return Promise.resolve();
    const work = this.attach(domain).finally(() => this.working.delete(id));
    this.working.set(id, work);
    return work;
  }

  private async attach({ id, name, generation }: HostDomain): Promise<void> {
    const { channels, logger } = this.options;
    const shown = displayText(name);
    try {
      const { live, persistent, needsRestart } = await channels.attach(id);
      if (live || persistent) logger.info(`${shown} has been given the channel`, { id, live, persistent });
      const message = 'has no virtio-serial controller: it can be reached after its next start from off';
      if (needsRestart) this.sayOnce(id, `${shown} ${message}`, { generation });
      else this.said.delete(id);
    } catch (error) {
      if (!(error instanceof HypervisorError)) throw error;
      this.sayOnce(id, `the channel cannot be attached: ${error.message}`, { code: error.code });
    }
  }

  private sayOnce(id: string, message: string, facts: Readonly<Record<string, unknown>>): void {
    if (this.said.get(id) === message) return;
    this.said.set(id, message);
    this.options.logger.warn(message, { id, ...facts });
  }
}

/** Gives the channel to guests that lack it. */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { describeError } from '../error.ts';
import type { HostDomain } from '../hypervisor/port.ts';
import type { GuestSource } from './guests.ts';

export class Attacher {
  private readonly logger: Logger;
  /** What was tried already: not again before the guest is started anew or defined otherwise. */
  private readonly tried = new Map<string, string>();

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** Whether there was anything to do. Does not reject; what went wrong is logged once. */
  async see(source: GuestSource, domain: HostDomain, isRedefined: boolean): Promise<void> {
    if (!source.attach || !source.control || domain.port !== 'absent') return;
    const circumstances = `${domain.generation} ${domain.state}`;
    if (this.tried.get(domain.id) === circumstances && !isRedefined) return;
    this.tried.set(domain.id, circumstances);
    const name = displayText(domain.name);
    const facts = { vm: domain.id };
    try {
      const { live, persistent, needsRestart } = await source.control.attach(domain.id);
      if (needsRestart)
        this.logger.warn(`${name} has the channel from its next start on: it cannot be added now`, facts);
      else if (live || persistent) this.logger.info(`${name} was given the channel`, facts);
    } catch (error) {
      const { code, message } = describeError(error);
      this.logger.warn(`${name} has no channel, and cannot be given one: ${message}`, { ...facts, code });
    }
  }

  forget(id: string): void {
    this.tried.delete(id);
  }
}

/** The guests of a libvirt: found, followed, given the channel, started and stopped. */
import { displayText } from '../../../protocol/index.ts';
import type { Logger } from '../../api/index.ts';
import { HypervisorError } from '../error.ts';
import type {
  ChannelPorts,
  DomainChange,
  HostDomain,
  HypervisorPort,
  HypervisorStatus,
  PortChange,
  Snapshot,
  VmPower,
} from '../port.ts';
import { Actions } from './actions.ts';
import { Follower, type Pace } from './follower.ts';
import type { PowerVerb, RequestName, Requests } from './messages.ts';

export interface LibvirtOptions extends Partial<Pace> {
  /** Of this host, as the sockets of channels are: https://libvirt.org/uri.html */
  readonly uri: string;
  readonly logger: Logger;
  /** A start, a pause, an attach: libvirt itself waits 30 s for a domain that is busy. */
  readonly actionDeadlineMs?: number;
  /** Snapshots, and the return to them: memory is written to disk. */
  readonly snapshotDeadlineMs?: number;
}

const PACE: Pace = {
  pollMs: 1000,
  backoffMs: { first: 250, longest: 30_000 },
  deadlineMs: 15_000,
};
const ACTION_MS = 60_000;
const SNAPSHOT_MS = 600_000;
/** What libvirt and its storage take: no path, nothing hidden, nothing that could be an option. */
const SNAPSHOT_NAME = /^[A-Za-z0-9_][A-Za-z0-9 ._:@+-]{0,127}$/;

/** Follows from the moment that it is made until it is closed, whether libvirt is there or not. */
export class LibvirtDriver implements HypervisorPort, ChannelPorts, VmPower {
  private readonly follower: Follower;
  private readonly actions: Actions;
  private readonly logger: Logger;
  private readonly listeners = new Set<(change: DomainChange) => void>();
  private readonly actionMs: number;
  private readonly snapshotMs: number;

  constructor({ uri, logger, actionDeadlineMs, snapshotDeadlineMs, ...pace }: LibvirtOptions) {
    this.logger = logger;
    this.actionMs = actionDeadlineMs ?? ACTION_MS;
    this.snapshotMs = snapshotDeadlineMs ?? SNAPSHOT_MS;
    const settings = { ...PACE, ...pace, uri, logger };
    this.actions = new Actions({ uri, openDeadlineMs: settings.deadlineMs });
    this.follower = new Follower({
      ...settings,
      onChange: (change) => this.tell({ ...change, at: new Date() }),
    });
  }

  get status(): HypervisorStatus {
    return this.follower.status;
  }

  listDomains(): Promise<readonly HostDomain[]> {
    return this.follower.list();
  }

  watch(listener: (change: DomainChange) => void): Disposable {
    // The same function given twice is two listeners.
    const own = (change: DomainChange) => listener(change);
    this.listeners.add(own);
    return { [Symbol.dispose]: () => void this.listeners.delete(own) };
  }

  async close(): Promise<void> {
    await Promise.all([this.follower.close(), this.actions.close()]);
    this.listeners.clear();
  }

  attach(id: string): Promise<PortChange> {
    return this.act('attach', { uuid: id });
  }

  detach(id: string): Promise<PortChange> {
    return this.act('detach', { uuid: id });
  }

  start(id: string): Promise<void> {
    return this.power('start', id);
  }

  stop(id: string): Promise<void> {
    return this.power('stop', id);
  }

  destroy(id: string): Promise<void> {
    return this.power('destroy', id);
  }

  pause(id: string): Promise<void> {
    return this.power('pause', id);
  }

  resume(id: string): Promise<void> {
    return this.power('resume', id);
  }

  undefine(id: string): Promise<void> {
    return this.power('undefine', id);
  }

  async snapshot(id: string, name: string): Promise<void> {
    await this.act('snapshot', { uuid: id, name: snapshotName(name) }, this.snapshotMs);
  }

  async revert(id: string, name: string): Promise<void> {
    await this.act('revert', { uuid: id, name: snapshotName(name) }, this.snapshotMs);
  }

  async snapshots(id: string): Promise<readonly Snapshot[]> {
    const all = await this.act('snapshots', { uuid: id });
    return all.map((one) => ({ ...one, createdAt: new Date(one.createdAt) }));
  }

  private async power(verb: PowerVerb, uuid: string): Promise<void> {
    await this.act('power', { verb, uuid });
  }

  /** What is listed afterwards has what was done. */
  private async act<Name extends RequestName>(
    request: Name,
    ask: Requests[Name]['ask'] & { uuid: string },
    deadlineMs = this.actionMs,
  ): Promise<Requests[Name]['answer']> {
    try {
      return await this.actions.run(request, ask, deadlineMs);
    } catch (error) {
      throw await this.named(error, ask.uuid);
    } finally {
      await this.follower.look(ask.uuid);
    }
  }

  private async named(error: unknown, uuid: string): Promise<unknown> {
    if (!(error instanceof HypervisorError)) return error;
    const known = await this.follower.get(uuid).catch(() => undefined);
    const name = displayText(known?.name ?? uuid);
    return new HypervisorError(error.code, `${name}: ${error.message}`, { cause: error });
  }

  private tell(change: DomainChange): void {
    for (const listener of this.listeners) {
      try {
        listener(change);
      } catch (error) {
        this.logger.warn('a listener for changes of domains failed', { error });
      }
    }
  }
}

function snapshotName(name: string): string {
  if (SNAPSHOT_NAME.test(name)) return name;
  const message = 'a snapshot is named with letters, digits and "._:@+- ", at most 128 characters';
  throw new HypervisorError('invalid-request', `${message}, not "${displayText(name.slice(0, 200))}"`);
}

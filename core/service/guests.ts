/** All guests that the service looks after, wherever they come from. */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { describeError } from '../error.ts';
import type {
  ChannelPorts,
  DomainChange,
  HostDomain,
  HypervisorPort,
  HypervisorStatus,
  VmPower,
} from '../hypervisor/port.ts';
import { Turns } from '../scan/turns.ts';
import { OperationError } from './error.ts';
import { GuestWatch, type GuestWatchParts } from './guest-watch.ts';

/** A handshake costs the host a few milliseconds of CPU, a silent guest some seconds of waiting. */
const CONNECTING_AT_ONCE = 32;

export type GuestControl = VmPower & ChannelPorts;

export interface GuestSource {
  readonly port: HypervisorPort;
  /** Where the source can do more than tell. */
  readonly control?: GuestControl;
  /** Whether policy has this guest looked after. */
  readonly isSelected: (domain: HostDomain) => boolean;
}

export interface GuestsParts extends Omit<GuestWatchParts, 'gate'> {
  readonly logger: Logger;
  /** Called for every change of a guest that is looked after, `defined` when it is met for the first time. */
  readonly onChange: (change: Pick<DomainChange, 'domain' | 'kind'>) => void;
  /** Called when one is looked after no more. */
  readonly onGone: (id: string) => void;
}

export class Guests implements AsyncDisposable {
  private readonly parts: GuestsParts;
  private readonly watches = new Map<string, { readonly watch: GuestWatch; readonly source: GuestSource }>();
  private readonly listeners: Disposable[] = [];
  private readonly sources: GuestSource[] = [];
  private readonly places = { first: new Turns(CONNECTING_AT_ONCE), again: new Turns(CONNECTING_AT_ONCE) };

  constructor(parts: GuestsParts) {
    this.parts = parts;
  }

  /** Looks after the guests of one more source, from now on. One that cannot be asked now tells of its guests later. */
  async add(source: GuestSource): Promise<void> {
    this.sources.push(source);
    this.listeners.push(source.port.watch((change) => this.follow(source, change)));
    try {
      for (const domain of await source.port.listDomains()) this.meet(source, domain);
    } catch (error) {
      const { code, message } = describeError(error);
      this.parts.logger.warn(`the guests cannot be told yet: ${message}`, { code });
    }
  }

  /** Looks after its guests no more. */
  async remove(source: GuestSource): Promise<void> {
    const entry = this.sources.indexOf(source);
    if (entry < 0) return;
    this.sources.splice(entry, 1);
    for (const listener of this.listeners.splice(entry, 1)) listener[Symbol.dispose]();
    const own = [...this.watches].filter(([, known]) => known.source === source);
    for (const [id] of own) this.forget(id);
    await Promise.all(own.map(([, { watch }]) => watch.done));
  }

  /** Where each source is at with its hypervisor. */
  statuses(): HypervisorStatus[] {
    return this.sources.map(({ port }) => port.status);
  }

  /** As they are shown. */
  list(): GuestWatch[] {
    return Array.from(this.watches.values(), ({ watch }) => watch);
  }

  /** Throws OperationError `unknown-vm` or `ambiguous-vm`. */
  find(nameOrId: string): GuestWatch {
    const byId = this.watches.get(nameOrId)?.watch;
    if (byId) return byId;
    const [first, second] = this.list().filter(({ domain }) => domain.name === nameOrId);
    if (first === undefined) {
      throw new OperationError(
        'unknown-vm',
        `no VM is called ${displayText(nameOrId)}: lazaret vm list shows them`,
      );
    }
    if (second !== undefined) {
      throw new OperationError(
        'ambiguous-vm',
        `several VMs are called ${displayText(nameOrId)}: name it by its id`,
      );
    }
    return first;
  }

  /** What a guest comes from. Throws OperationError `unknown-vm`. */
  sourceOf(nameOrId: string): GuestSource {
    const { id } = this.find(nameOrId).domain;
    const source = this.watches.get(id)?.source;
    if (!source) throw new OperationError('unknown-vm', 'the VM went away meanwhile');
    return source;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.sources].map((source) => this.remove(source)));
  }

  private follow(source: GuestSource, { domain, kind }: DomainChange): void {
    if (kind !== 'undefined') this.meet(source, domain, kind);
    else if (this.watches.get(domain.id)?.source === source) this.forget(domain.id);
  }

  private meet(source: GuestSource, domain: HostDomain, kind: DomainChange['kind'] = 'redefined'): void {
    const known = this.watches.get(domain.id);
    // A guest that two sources name is looked after by the one that named it first.
    if (known && known.source !== source) return;
    if (!source.isSelected(domain)) {
      this.forget(domain.id);
      return;
    }
    if (known) known.watch.update(domain);
    else this.watches.set(domain.id, { watch: new GuestWatch(domain, this.watchParts()), source });
    this.parts.onChange({ domain, kind: known ? kind : 'defined' });
  }

  private watchParts(): GuestWatchParts {
    const gate: GuestWatchParts['gate'] = async (again, signal, work) => {
      const places = this.places[again ? 'again' : 'first'];
      if (!(await places.enter({}, signal))) throw signal.reason;
      try {
        return await work();
      } finally {
        places.leave();
      }
    };
    return { ...this.parts, gate };
  }

  private forget(id: string): void {
    const known = this.watches.get(id);
    if (!known) return;
    this.watches.delete(id);
    void known.watch.close();
    this.parts.onGone(id);
  }
}

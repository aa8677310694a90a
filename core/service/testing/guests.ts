/** Guests and sessions in memory, for tests of what looks after them. */
import { ChannelError } from '../../channel/error.ts';
import type { Domain } from '../../channel/session.ts';
import type { DomainChange, HostDomain, HypervisorPort, HypervisorStatus } from '../../hypervisor/port.ts';
import type { GuestAccess } from '../../vm-session.ts';

export const domainOf = (name: string, rest: Partial<HostDomain> = {}): HostDomain => ({
  ...{ id: `id-of-${name}`, name, socket: `/run/${name}.sock`, state: 'running', port: 'connected' },
  ...{ generation: 1, persistent: true, metadata: [], ...rest },
});

/** One that is not reachable. */
export function without(domain: HostDomain, rest: Partial<HostDomain> = {}): HostDomain {
  const { socket: _, ...bare } = domain;
  return { ...bare, ...rest };
}

export class MemoryHypervisor implements HypervisorPort {
  readonly domains = new Map<string, HostDomain>();
  status: HypervisorStatus = { state: 'connected', since: new Date(0) };
  /** Rejects with it, as long as it is there. */
  fault: Error | undefined;
  private readonly listeners = new Set<(change: DomainChange) => void>();

  constructor(...domains: readonly HostDomain[]) {
    for (const domain of domains) this.domains.set(domain.id, domain);
  }

  get followers(): number {
    return this.listeners.size;
  }

  async listDomains(): Promise<readonly HostDomain[]> {
    if (this.fault) throw this.fault;
    return [...this.domains.values()];
  }

  watch(listener: (change: DomainChange) => void): Disposable {
    this.listeners.add(listener);
    return { [Symbol.dispose]: () => void this.listeners.delete(listener) };
  }

  tell(kind: DomainChange['kind'], domain: HostDomain): void {
    if (kind === 'undefined') this.domains.delete(domain.id);
    else this.domains.set(domain.id, domain);
    for (const listener of this.listeners) listener({ domain, kind, at: new Date(0) });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A session, open until it is ended. */
export class MemorySession implements GuestAccess {
  readonly guest: GuestAccess['guest'];
  readonly scan: GuestAccess['scan'] = { run: () => Promise.reject(new Error('no scan is expected')) };
  /** Ends it, with an error unless we did. */
  readonly end: (error?: Error) => void;
  disposals = 0;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.end = resolve;
    this.guest = { session: { ended: promise } } as unknown as GuestAccess['guest'];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposals += 1;
    this.end();
  }
}

interface Asked {
  readonly domain: Domain;
  readonly signal: AbortSignal;
  readonly accept: () => MemorySession;
  readonly refuse: (error: Error) => void;
}

/** Opens sessions as a test says. An abort refuses. */
export class MemorySessions {
  /** Those that were asked for, in order. */
  readonly asked: Asked[] = [];
  readonly dropped: string[] = [];
  readonly open: MemorySession[] = [];

  readonly acquire = (domain: Domain, signal: AbortSignal): Promise<GuestAccess> => {
    const { promise, resolve, reject } = Promise.withResolvers<GuestAccess>();
    const accept = (): MemorySession => {
      const session = new MemorySession();
      this.open.push(session);
      resolve(session);
      return session;
    };
    signal.addEventListener('abort', () => reject(new ChannelError('cancelled', 'it was given up')));
    this.asked.push({ domain, signal, accept, refuse: reject });
    return promise;
  };

  readonly drop = async (id: string): Promise<void> => {
    this.dropped.push(id);
    for (const session of this.open) session.end();
  };

  get last(): Asked {
    const last = this.asked.at(-1);
    if (!last) throw new Error('nothing was asked for');
    return last;
  }
}

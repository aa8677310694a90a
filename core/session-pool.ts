/**
 * Sessions with guests, one of each: whoever works with a guest shares it with all others who do, and it is closed
 * when nobody does any more. The service holds one of every guest, so that scans and actions find it open.
 */
import { cancelled } from './channel/deadline.ts';
import type { Domain } from './channel/session.ts';
import type { GuestAccess, OpenSession } from './vm-session.ts';

interface Shared {
  readonly socket: string;
  readonly session: Promise<GuestAccess>;
  /** Its abort gives up a session that is being opened. */
  readonly unwanted: AbortController;
  users: number;
}

export class SessionPool {
  private readonly open: OpenSession;
  private readonly sessions = new Map<string, Shared>();

  constructor(open: OpenSession) {
    this.open = open;
  }

  /** Rejects as `open` does. An abort gives up this caller's part alone. */
  async acquire(domain: Domain, signal: AbortSignal): Promise<GuestAccess> {
    signal.throwIfAborted();
    const shared = this.sharedOf(domain);
    shared.users += 1;
    let given: Promise<void> | undefined;
    const giveBack = (): Promise<void> => {
      given ??= this.giveBack(domain.id, shared);
      return given;
    };
    try {
      const { guest, scan } = await unlessAborted(shared.session, signal);
      return { guest, scan, [Symbol.asyncDispose]: giveBack };
    } catch (error) {
      await giveBack();
      throw error;
    }
  }

  /** Ends the session with a guest, whoever works with it: the next one who asks gets a new one. */
  async drop(id: string): Promise<void> {
    const shared = this.sessions.get(id);
    if (shared) await this.end(id, shared);
  }

  private sharedOf(domain: Domain): Shared {
    const known = this.sessions.get(domain.id);
    if (known && known.socket === domain.socket) return known;
    if (known) void this.end(domain.id, known);
    const unwanted = new AbortController();
    const session = this.open(domain, unwanted.signal);
    const shared = { socket: domain.socket, session, unwanted, users: 0 };
    this.sessions.set(domain.id, shared);
    const forget = (): void => this.forget(domain.id, shared);
    session.then(({ guest }) => guest.session.ended.then(forget), forget);
    return shared;
  }

  private async giveBack(id: string, shared: Shared): Promise<void> {
    shared.users -= 1;
    if (shared.users === 0) await this.end(id, shared);
  }

  private async end(id: string, shared: Shared): Promise<void> {
    this.forget(id, shared);
    shared.unwanted.abort();
    // Whoever waits for one that cannot be opened is told so by `acquire`.
    const session = await shared.session.catch(() => undefined);
    await session?.[Symbol.asyncDispose]();
  }

  private forget(id: string, shared: Shared): void {
    if (this.sessions.get(id) === shared) this.sessions.delete(id);
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const giveUp = (): void => reject(cancelled(signal));
  signal.addEventListener('abort', giveUp, { once: true });
  work.then(resolve, reject);
  return promise.finally(() => signal.removeEventListener('abort', giveUp));
}

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
  /** Once it is being closed: rejects when closing fails. */
  ending?: Promise<void>;
}

export class SessionPool {
  private readonly open: OpenSession;
  private readonly sessions = new Map<string, Shared>();
  /** By guest: those that are being closed. A port has room for one host at a time. */
  private readonly closing = new Map<string, Promise<unknown>>();

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
    if (known) void this.end(domain.id, known).catch(() => undefined);
    const unwanted = new AbortController();
    const before = this.closing.get(domain.id);
    const open = () => this.open(domain, unwanted.signal);
    const session = before ? before.then(open) : open();
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

  /** Once, whoever asks for it. */
  private end(id: string, shared: Shared): Promise<void> {
    shared.ending ??= this.close(id, shared);
    return shared.ending;
  }

  private close(id: string, shared: Shared): Promise<void> {
    this.forget(id, shared);
    shared.unwanted.abort();
    const before = this.closing.get(id);
    const closed = closeOpened(shared.session);
    const all = Promise.allSettled([before, closed]).then(() => {
      if (this.closing.get(id) === all) this.closing.delete(id);
    });
    this.closing.set(id, all);
    return closed;
  }

  private forget(id: string, shared: Shared): void {
    if (this.sessions.get(id) === shared) this.sessions.delete(id);
  }
}

async function closeOpened(opening: Promise<GuestAccess>): Promise<void> {
  // Whoever waits for one that cannot be opened is told so by `acquire`.
  const session = await opening.catch(() => undefined);
  await session?.[Symbol.asyncDispose]();
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const giveUp = (): void => reject(cancelled(signal));
  signal.addEventListener('abort', giveUp, { once: true });
  work.then(resolve, reject);
  return promise.finally(() => signal.removeEventListener('abort', giveUp));
}

/**
 * One guest of the service: connected whenever it can be, for as long as it can be. A guest that is off, silent or
 * hostile is tried again at longer and longer intervals, and at once when its hypervisor tells of a change.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { ChannelError } from '../channel/error.ts';
import { describeError } from '../error.ts';
import { type HostDomain, isReachable, type ReachableDomain } from '../hypervisor/port.ts';
import type { SessionPool } from '../session-pool.ts';
import type { GuestAccess } from '../vm-session.ts';
import type { ConnectionView } from './views.ts';

/** Until the next try, in milliseconds: at first, and at most. A guest that we may not connect to needs a person. */
const BACKOFF = { first: 1_000, most: 60_000 } as const;
/** Refusals that no waiting mends. */
const REFUSALS: ReadonlySet<string> = new Set([
  'key-changed',
  'identity-mismatch',
  'login-failed',
  'not-enrolled',
]);

export interface GuestWatchParts {
  readonly sessions: Pick<SessionPool, 'acquire' | 'drop'>;
  /** Lets so many guests connect at once. */
  readonly gate: <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;
  readonly clock: () => number;
  readonly logger: Logger;
  /** From 0 to below 1: guests that went away together do not come back in step. */
  readonly random?: () => number;
  /** Called whenever a session has begun. */
  readonly onConnected: (domain: ReachableDomain, access: GuestAccess) => void;
}

type Connection = Omit<ConnectionView, 'state'> & {
  readonly state: Exclude<ConnectionView['state'], 'suspended'>;
};

export class GuestWatch {
  readonly done: Promise<void>;
  private readonly parts: GuestWatchParts;
  private readonly stop = new AbortController();
  private change = Promise.withResolvers<void>();
  private failures = 0;
  #domain: HostDomain;
  #connection: Connection;

  constructor(domain: HostDomain, parts: GuestWatchParts) {
    this.parts = parts;
    this.#domain = domain;
    this.#connection = { state: 'waiting', since: parts.clock() };
    this.done = this.run();
  }

  get domain(): HostDomain {
    return this.#domain;
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** What its hypervisor tells now. Another generation has nothing to do with the session of the one before. */
  update(domain: HostDomain): void {
    const before = this.#domain;
    this.#domain = domain;
    if (before.generation !== domain.generation) void this.parts.sessions.drop(domain.id);
    if (isChanged(before, domain)) this.tryNow();
  }

  /** Tries to connect at once; where it is connected, nothing happens. */
  tryNow(): void {
    this.failures = 0;
    this.change.resolve();
  }

  /** Ends the session; a new one, with what is granted now, follows. */
  async renew(): Promise<void> {
    await this.parts.sessions.drop(this.#domain.id);
    this.tryNow();
  }

  async close(): Promise<void> {
    this.stop.abort();
    this.change.resolve();
    await this.done;
  }

  private async run(): Promise<void> {
    const { signal } = this.stop;
    while (!signal.aborted) {
      this.change = Promise.withResolvers();
      const domain = this.#domain;
      if (canAnswer(domain)) {
        await this.connect(domain);
        if (signal.aborted) return;
        await this.pause();
      } else {
        this.become('waiting');
        await this.change.promise;
      }
    }
  }

  /** Until the session is over. Does not reject. */
  private async connect(domain: ReachableDomain): Promise<void> {
    const { sessions, gate, onConnected } = this.parts;
    const { signal } = this.stop;
    this.become('connecting', this.#connection.error);
    try {
      await using access = await gate(signal, () => sessions.acquire(domain, signal));
      this.failures = 0;
      this.become('connected');
      this.parts.logger.info(`${displayText(domain.name)} is connected`, { vm: domain.id });
      onConnected(domain, access);
      const error = await Promise.race([access.guest.session.ended, aborted(signal)]);
      this.become('waiting');
      if (error) this.fail(error);
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if (this.stop.signal.aborted) return;
    this.failures += 1;
    const described = describeError(error);
    const isKnown = this.#connection.error?.code === described.code;
    this.become(REFUSALS.has(described.code) ? 'refused' : 'waiting', described);
    if (isKnown) return;
    const log = error instanceof ChannelError && error.code === 'no-agent' ? 'info' : 'warn';
    this.parts.logger[log](`${displayText(this.#domain.name)} is not connected: ${described.message}`, {
      vm: this.#domain.id,
      code: described.code,
    });
  }

  /** Before the next try, or until something changes. */
  private async pause(): Promise<void> {
    const { random = Math.random } = this.parts;
    const most = Math.min(BACKOFF.most, BACKOFF.first * 2 ** Math.max(0, this.failures - 1));
    const waiting = new AbortController();
    const time = delay(most * (0.5 + random() / 2), undefined, { signal: waiting.signal, ref: false });
    await Promise.race([time.catch(() => undefined), this.change.promise]);
    waiting.abort();
  }

  private become(state: Connection['state'], error?: ConnectionView['error']): void {
    const since = this.#connection.state === state ? this.#connection.since : this.parts.clock();
    this.#connection = { state, since, ...(error && { error }) };
  }
}

/** Whether somebody could answer. Where the hypervisor does not tell, a try to connect does. */
const canAnswer = (domain: HostDomain): domain is ReachableDomain =>
  isReachable(domain) &&
  (domain.state === 'running' || domain.state === 'unknown') &&
  (domain.port === 'connected' || domain.port === 'unknown');

const isChanged = (one: HostDomain, other: HostDomain): boolean =>
  one.socket !== other.socket ||
  one.state !== other.state ||
  one.port !== other.port ||
  one.generation !== other.generation;

function aborted(signal: AbortSignal): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  if (signal.aborted) resolve(undefined);
  else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  return promise;
}

/**
 * One guest of the service: connected whenever it can be, for as long as it can be. A guest that is off, silent or
 * hostile is tried again at longer and longer intervals, and at once when its hypervisor tells of a change.
 */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { describeError } from '../error.ts';
import { type HostDomain, isReachable, type ReachableDomain } from '../hypervisor/port.ts';
import type { SessionPool } from '../session-pool.ts';
import type { GuestAccess } from '../vm-session.ts';
import type { ConnectionView } from './views.ts';

/** Until the next try, in milliseconds: at first, and at most. A guest that we may not connect to needs a person. */
const BACKOFF = { first: 1_000, most: 60_000 } as const;
/** A session that lasted so long was a good one. One that breaks sooner, again and again, is waited for as a failure is. */
const GOOD_SESSION_MS = 60_000;
/** Refusals that no waiting mends. */
const REFUSALS: ReadonlySet<string> = new Set([
  'key-changed',
  'identity-mismatch',
  'login-failed',
  'not-enrolled',
  'token-used',
  'token-expired',
  'token-foreign',
  'token-unknown',
]);

/** What is no trouble by itself: a guest that has no agent, or a session that was given up on purpose. */
const LEVELS: Readonly<Record<string, 'debug' | 'info'>> = { 'no-agent': 'info', cancelled: 'debug' };

export interface GuestWatchParts {
  readonly sessions: Pick<SessionPool, 'acquire' | 'drop'>;
  /** Lets so many guests connect at once: `again` where it failed before, so that such guests hold up each other alone. */
  readonly gate: <T>(again: boolean, signal: AbortSignal, work: () => Promise<T>) => Promise<T>;
  readonly clock: () => number;
  /** Calls once, after so many milliseconds, unless what it returns was called before. */
  readonly setTimer?: (run: () => void, milliseconds: number) => () => void;
  readonly logger: Logger;
  /** From 0 to below 1: guests that went away together do not come back in step. */
  readonly random?: () => number;
  /** Called whenever a session has begun. */
  readonly onConnected: (domain: ReachableDomain, access: GuestAccess) => void;
  /** Called whenever it is connected otherwise than before. */
  readonly onConnection?: () => void;
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
  /** What was logged since the last good session: a guest does not fill the log by coming and going. */
  private readonly said = new Set<string>();
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
    if (before.generation !== domain.generation) void this.drop();
    if (isChanged(before, domain)) this.tryNow();
  }

  /** Tries to connect at once; where it is connected, nothing happens. */
  tryNow(): void {
    this.failures = 0;
    this.change.resolve();
  }

  /** Ends the session; a new one, with what is granted now, follows. */
  async renew(): Promise<void> {
    await this.drop();
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
        this.waitFor(domain);
        await this.change.promise;
      }
    }
  }

  /** Whoever works in a session that cannot be closed well is told so there. */
  private async drop(): Promise<void> {
    const { id } = this.#domain;
    await this.parts.sessions.drop(id).catch((error: unknown) => this.tell('debug', error));
  }

  /** Until its hypervisor tells of a change. */
  private waitFor({ fault }: HostDomain): void {
    if (fault === undefined) this.become('waiting');
    else this.fail(fault);
  }

  /** Until the session is over. Does not reject. */
  private async connect(domain: ReachableDomain): Promise<void> {
    const { sessions, gate, clock, logger, onConnected } = this.parts;
    const { signal } = this.stop;
    this.become('connecting', this.#connection.error);
    try {
      const again = this.failures > 0;
      await using access = await gate(again, signal, () => sessions.acquire(domain, signal));
      const since = clock();
      this.become('connected');
      if (this.isNews('connected'))
        logger.info(`${displayText(domain.name)} is connected`, { vm: domain.id });
      onConnected(domain, access);
      const error = await endOf(access.guest.session.ended, signal);
      if (clock() - since >= GOOD_SESSION_MS) this.forgive();
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
    this.become(REFUSALS.has(described.code) ? 'refused' : 'waiting', described);
    if (this.isNews(described.code)) this.tell(LEVELS[described.code] ?? 'warn', error);
  }

  private isNews(what: string): boolean {
    return this.said.size < this.said.add(what).size;
  }

  private tell(level: 'debug' | 'info' | 'warn', error: unknown): void {
    const { code, message } = describeError(error);
    const { id, name } = this.#domain;
    this.parts.logger[level](`${displayText(name)} is not connected: ${message}`, { vm: id, code });
  }

  private forgive(): void {
    this.failures = 0;
    this.said.clear();
  }

  /** Before the next try, or until something changes. */
  private async pause(): Promise<void> {
    const { random = Math.random, setTimer = onTimeout } = this.parts;
    const most = Math.min(BACKOFF.most, BACKOFF.first * 2 ** Math.max(0, this.failures - 1));
    const { promise, resolve } = this.change;
    const cancel = setTimer(resolve, most * (0.5 + random() / 2));
    await promise;
    cancel();
  }

  private become(state: Connection['state'], error?: ConnectionView['error']): void {
    const since = this.#connection.state === state ? this.#connection.since : this.parts.clock();
    this.#connection = { state, since, ...(error && { error }) };
    this.parts.onConnection?.();
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
  one.fault?.code !== other.fault?.code ||
  one.generation !== other.generation;

/** What ended a session, or undefined when we do; leaves nothing behind on the signal, which outlives many sessions. */
async function endOf(ended: Promise<Error | undefined>, signal: AbortSignal): Promise<Error | undefined> {
  if (signal.aborted) return undefined;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const onAbort = () => resolve(undefined);
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([ended, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function onTimeout(run: () => void, milliseconds: number): () => void {
  const timer = setTimeout(run, milliseconds).unref();
  return () => clearTimeout(timer);
}

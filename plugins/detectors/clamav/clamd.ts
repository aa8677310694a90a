/** clamd as its callers see it: ask, and there is an answer or a ClamdError within bounded time. */
import { setTimeout as pause } from 'node:timers/promises';
import { Breaker } from './breaker.ts';
import { ClamdError } from './clamd-error.ts';
import { requestReload } from './reload.ts';
import { Session } from './session.ts';
import { Turns } from './turns.ts';

export interface ClamdSettings {
  readonly socket: string;
  /** For one answer. */
  readonly deadlineMs: number;
  /** When no answer has come for so long, and none comes to a PING in as much again, clamd hangs. */
  readonly hangMs: number;
}

/** What to send: a command, and for INSTREAM a content, made anew for every attempt. */
export interface Request {
  readonly command: string;
  readonly content?: () => AsyncIterable<Buffer>;
}

const ATTEMPTS = 3;
const BETWEEN_ATTEMPTS_MS = 200;
/** clamd itself ends a session that is idle for 30 s (CommandReadTimeout). */
const IDLE_MS = 10_000;

export class Clamd {
  readonly socket: string;
  private readonly settings: ClamdSettings;
  private readonly breaker: Breaker;
  private readonly turns: Turns;
  private readonly sessions = new Set<Session>();
  private idle: Session[] = [];
  private idleTimer: NodeJS.Timeout | undefined;
  private pinging: Promise<string> | undefined;
  private closed = false;
  /** Counts the sessions that ended without our doing: another clamd may have answered since. */
  private breaks = 0;

  constructor(settings: ClamdSettings, atOnce: number) {
    this.settings = settings;
    this.socket = settings.socket;
    this.breaker = new Breaker(settings.socket);
    this.turns = new Turns(atOnce);
  }

  get interruptions(): number {
    return this.breaks;
  }

  set atOnce(count: number) {
    this.turns.allow(count);
  }

  /** Tries again, a few times, when clamd goes away meanwhile. Rejects with ClamdError. */
  async ask(request: Request, signal: AbortSignal): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.turns.take(() => this.attempt(request, signal), signal);
      } catch (error) {
        if (signal.aborted) throw new ClamdError('cancelled', 'cancelled', { cause: error });
        if (attempt === ATTEMPTS || !isPassing(error)) throw error;
      }
      await pause(BETWEEN_ATTEMPTS_MS * attempt);
    }
  }

  /** Has it load its databases again, which it does some time after. Rejects with ClamdError. */
  reload(): Promise<void> {
    return requestReload(this.socket, this.settings.hangMs);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.idleTimer);
    for (const session of this.sessions) session.end(new ClamdError('cancelled', 'closed'));
  }

  private async attempt(request: Request, signal: AbortSignal): Promise<string> {
    if (this.closed) throw new ClamdError('cancelled', 'closed');
    this.breaker.enter();
    try {
      const session = this.idle.pop() ?? (await this.open());
      const answer = await this.watched(session, request, signal);
      this.breaker.succeeded();
      this.keep(session);
      return answer;
    } catch (error) {
      if (isFailure(error)) this.breaker.failed(error);
      throw error;
    }
  }

  private async open(): Promise<Session> {
    const { socket, hangMs } = this.settings;
    const session = await Session.open(socket, hangMs, (ended) => {
      this.sessions.delete(ended);
      this.idle = this.idle.filter((other) => other !== ended);
      this.breaks += 1;
    });
    if (this.closed) session.end();
    else this.sessions.add(session);
    return session;
  }

  /** Asks, and breaks the session off at the deadline, when clamd hangs, or when the caller leaves. */
  private async watched(session: Session, request: Request, signal: AbortSignal): Promise<string> {
    const { deadlineMs, hangMs } = this.settings;
    const leave = () => session.end(new ClamdError('cancelled', 'cancelled'));
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    const deadline = setTimeout(() => session.end(tooLong(deadlineMs)), deadlineMs);
    const watch = setInterval(() => {
      this.ping().catch(() => session.end(this.hangs()));
    }, hangMs);
    try {
      return await session.ask(request.command, request.content?.());
    } finally {
      clearTimeout(deadline);
      clearInterval(watch);
      signal.removeEventListener('abort', leave);
    }
  }

  /** One PING at a time, in a session of its own. */
  private ping(): Promise<string> {
    this.pinging ??= this.pingOnce().finally(() => {
      this.pinging = undefined;
    });
    return this.pinging;
  }

  private async pingOnce(): Promise<string> {
    const { socket, hangMs } = this.settings;
    const session = await Session.open(socket, hangMs, () => undefined);
    const timer = setTimeout(() => session.end(this.hangs()), hangMs);
    try {
      return await session.ask('PING');
    } finally {
      clearTimeout(timer);
      session.end();
    }
  }

  private hangs(): ClamdError {
    return new ClamdError('hung', 'it takes connections and hangs');
  }

  private keep(session: Session): void {
    if (this.sessions.has(session)) this.idle.push(session);
    this.idleTimer ??= setTimeout(() => {
      this.idleTimer = undefined;
      for (const idle of this.idle.splice(0)) this.retire(idle);
    }, IDLE_MS).unref();
  }

  private retire(session: Session): void {
    session.end();
    this.breaks -= 1;
  }
}

/** clamd may be back in a moment. */
const isPassing = (error: unknown): boolean =>
  error instanceof ClamdError && ['unreachable', 'lost', 'nonsense'].includes(error.code);

/** clamd is at fault, and not this request. */
const isFailure = (error: unknown): error is ClamdError =>
  error instanceof ClamdError && ['unreachable', 'lost', 'nonsense', 'hung'].includes(error.code);

const tooLong = (ms: number): ClamdError =>
  new ClamdError('deadline', `clamd did not finish within ${ms / 1000} s`);

/**
 * The file inventory: regular files below some roots, as NDJSON (`InventoryLine`), page by page. A walk waits
 * between two pages until the host asks for the next one, so that neither side holds more than a page.
 * Links are never followed; what cannot be listed becomes a fault.
 */
import { randomUUID } from 'node:crypto';
import {
  encodeLine,
  GuestPath,
  InventoryRequest,
  LIMITS,
  LINE_DIGEST_BYTES,
  ProtocolError,
  parseMessage,
} from '../../protocol/index.ts';
import type { Agent } from '../agent.ts';
import { RefusedError } from '../error.ts';
import type { Answered } from '../reader/reader.ts';
import type { Work } from '../reader/work.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { handled, Outflow, orAborted } from './outflow.ts';
import { WALK_BEGIN } from './walk-state.ts';

/** A page of which nothing came for so long ends, as a sign of life. */
const EMPTY_PAGE_MS = 5000;
const LONGEST_BODY = LIMITS.messageBytes + 1 + LIMITS.knownLines * LINE_DIGEST_BYTES;
const NEWLINE = 0x0a;

/** The walks of one session that have not come to their end. */
export class Walks {
  private readonly agent: Agent;
  private readonly pace: Pace;
  private readonly waiting = new Map<string, PagedWalk>();
  private underWay = 0;
  private ended = false;

  constructor(agent: Agent, pace: Pace) {
    this.agent = agent;
    this.pace = pace;
  }

  /** Sends the first page of a new walk. Throws ProtocolError for a malformed request. */
  async begin(exchange: Exchange): Promise<void> {
    if (this.underWay + this.waiting.size >= LIMITS.walks) {
      throw new RefusedError('busy', `${LIMITS.walks} walks are under way: end one of them`);
    }
    const body = await exchange.body(LONGEST_BODY);
    const newline = body.indexOf(NEWLINE);
    const request = parseMessage(InventoryRequest, newline < 0 ? body : body.subarray(0, newline));
    for (const path of [...request.roots, ...request.excludes]) GuestPath.of(path);
    const known = newline < 0 ? Buffer.alloc(0) : body.subarray(newline + 1);
    if (known.length % LINE_DIGEST_BYTES !== 0) {
      throw new ProtocolError('malformed-message', 'the known lines end within a digest');
    }
    await this.send(exchange, new PagedWalk(request, known, this.agent));
  }

  async next(exchange: Exchange, id: string): Promise<void> {
    const walk = this.waiting.get(id);
    if (!walk) throw new RefusedError('bad-request', 'there is no such walk that waits');
    this.waiting.delete(id);
    await this.send(exchange, walk);
  }

  /** Ends a walk that waits; no effect on any other. */
  drop(id: string): void {
    this.waiting.get(id)?.end();
    this.waiting.delete(id);
  }

  /** Ends all of them: the session is over. */
  clear(): void {
    this.ended = true;
    for (const walk of this.waiting.values()) walk.end();
    this.waiting.clear();
  }

  private async send(exchange: Exchange, walk: PagedWalk): Promise<void> {
    this.underWay += 1;
    let goesOn = false;
    try {
      goesOn = await walk.sendPage(exchange, this.pace);
      exchange.end();
    } finally {
      this.underWay -= 1;
      if (goesOn && !this.ended) this.waiting.set(walk.id, walk);
      else walk.end();
    }
  }
}

/** A walk that is sent in pages. */
class PagedWalk {
  readonly id = randomUUID();
  private readonly agent: Agent;
  private readonly work: Work;
  private leftMs: number;
  /** What is worked at, also between two pages. */
  private ahead: { readonly answer: Promise<Answered>; readonly since: number } | undefined;

  constructor(request: InventoryRequest, known: Buffer, agent: Agent) {
    this.agent = agent;
    this.leftMs = request.maxSeconds * 1000;
    const state = { ...WALK_BEGIN, stack: [] };
    this.work = agent.readers.work({ kind: 'walk', request, known: known.toString('base64'), state });
  }

  /** False when the walk has come to its end. Rejects when nobody reads any more. Its time runs during a page. */
  async sendPage(exchange: Exchange, pace: Pace): Promise<boolean> {
    exchange.begin('application/x-ndjson');
    const outflow = new Outflow(exchange);
    const deadline = performance.now() + this.leftMs;
    try {
      for (let sent = 0, toldAt = performance.now(); ; ) {
        const answered = await this.answered(exchange, toldAt + EMPTY_PAGE_MS, deadline);
        if (answered) {
          if (answered.payload.length > 0) toldAt = performance.now();
          sent += answered.payload.length;
          const pause = pace.next(exchange.signal, answered.read);
          if (!answered.isDone && !pause) this.workAhead(deadline);
          await outflow.send(answered);
          if (pause) await pause;
          if (answered.isDone) return false;
        }
        const isEmpty = performance.now() - toldAt > EMPTY_PAGE_MS;
        if (sent < LIMITS.inventoryPageBytes && answered && !isEmpty) continue;
        await outflow.send({ payload: this.more(), release: () => undefined });
        return true;
      }
    } finally {
      this.leftMs = deadline - performance.now();
    }
  }

  end(): void {
    this.work.end();
  }

  /** Undefined when nothing came until then. */
  private async answered(exchange: Exchange, until: number, deadline: number): Promise<Answered | undefined> {
    const { answer, since } = this.ahead ?? this.workAhead(deadline);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), Math.max(0, until - performance.now()));
    try {
      const answered = await orAborted(Promise.race([answer, promise]), exchange.signal);
      if (!answered) return undefined;
      this.ahead = undefined;
      return { ...answered, payload: this.agent.actor.workplaces.leaveOut(answered.payload, since) };
    } finally {
      clearTimeout(timer);
    }
  }

  private workAhead(deadline: number): NonNullable<typeof this.ahead> {
    const since = performance.now();
    this.ahead = { answer: handled(this.work.next(deadline - since)), since };
    return this.ahead;
  }

  private more(): Buffer {
    return encodeLine({ type: 'more', walk: this.id });
  }
}

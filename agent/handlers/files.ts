/**
 * The file inventory: regular files below some roots, as NDJSON (`InventoryLine`), page by page. A walk waits
 * between two pages until the host asks for the next one, so that neither side holds more than a page.
 *
 * Directories wait on a stack as paths and are opened one at a time, so that neither depth nor breadth of a
 * tree costs descriptors or stack. Links are never followed; what cannot be listed becomes a fault.
 */
import { randomUUID } from 'node:crypto';
import {
  encodeLine,
  InventoryRequest,
  LIMITS,
  LINE_DIGEST_BYTES,
  parseMessage,
} from '../../protocol/index.ts';
import type { Agent } from '../agent.ts';
import { RefusedError } from '../error.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { Turns } from '../session/turns.ts';
import { KnownLines, LineFilter } from './known-lines.ts';
import { Walk } from './walk.ts';

/** Lines are sent in groups of about this many characters, or what there is after so long: the host awaits a sign of life. */
const GROUP_CHARACTERS = 64 * 1024;
const GROUP_MS = 1000;
/** A page in which nothing was found for so long ends, as a sign of life. */
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
    const known = new KnownLines(newline < 0 ? Buffer.alloc(0) : body.subarray(newline + 1));
    const walk = new Walk(request, this.agent.root, (identity) => isOwn(identity, this.agent));
    await this.send(exchange, new PagedWalk(walk, new LineFilter(known)));
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
  private readonly walk: Walk;
  private readonly lines: Generator<string>;
  private readonly filter: LineFilter;

  constructor(walk: Walk, filter: LineFilter) {
    this.walk = walk;
    this.lines = walk.lines();
    this.filter = filter;
  }

  /** False when the walk has come to its end. Rejects when nobody reads any more. */
  async sendPage(exchange: Exchange, pace: Pace): Promise<boolean> {
    this.walk.resume();
    exchange.begin('application/x-ndjson');
    const turns = new Turns();
    let [group, sent, begun] = ['', 0, performance.now()];
    // Not `for … of`, which would end the walk with the page.
    for (let next = this.lines.next(); !next.done; next = this.lines.next()) {
      group += this.filter.pass(next.value);
      const waited = performance.now() - begun;
      if (group.length >= GROUP_CHARACTERS || (group !== '' && waited > GROUP_MS)) {
        await exchange.write(group);
        [group, sent, begun] = ['', sent + group.length, performance.now()];
      }
      if (sent >= LIMITS.inventoryPageBytes || (sent === 0 && waited > EMPTY_PAGE_MS)) {
        this.walk.pause();
        exchange.end(Buffer.concat([Buffer.from(group + this.filter.rest()), this.more()]));
        return true;
      }
      await turns.next(exchange.signal);
      const pause = pace.next(exchange.signal);
      if (pause) await pause;
    }
    exchange.end(Buffer.from(group));
    return false;
  }

  end(): void {
    this.lines.return(undefined);
  }

  private more(): Buffer {
    return encodeLine({ type: 'more', walk: this.id });
  }
}

/** The agent's state, and where it works at this moment, are nothing of the guest's. */
function isOwn(identity: string, { protection, actor }: Agent): boolean {
  return protection.owns(identity) || actor.workplaces.has(identity);
}

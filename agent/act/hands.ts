/**
 * Hands, one at a time, and what becomes of one that hangs: the session lives on, the command gets its outcome in time,
 * and what the hand had taken goes back as soon as it comes back from its call or is no more.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { OutcomeError } from '../error.ts';
import { startOwn } from '../start-own.ts';
import type { HandIntroduction, Order, Reply } from './run-hand.ts';

/** The host waits 30 s for the outcome of a command. */
const HUNG_AFTER_MS = 20_000;
const LOOKS = 20;
/** Hands that are left behind at one time. */
const MOST_STRANDED = 4;
const IDLE_MS = 10_000;

/** The hand does not answer any more. */
export class HandLost extends OutcomeError {
  /** Settled when it can do nothing any more. */
  readonly gone: Promise<unknown>;
  /** It hangs, and may do something yet; otherwise it has ended. */
  readonly isHung: boolean;

  constructor(message: string, isHung: boolean, gone: Promise<unknown>) {
    super('failed', message);
    this.isHung = isHung;
    this.gone = gone;
  }
}

interface Hand {
  readonly child: ChildProcess;
  readonly replies: AsyncIterator<string>;
  readonly gone: Promise<unknown>;
}

export interface HandsOptions extends HandIntroduction {
  /** In place of `HUNG_AFTER_MS`. */
  readonly hungAfterMs?: number | undefined;
}

export class Hands {
  private readonly options: HandsOptions;
  private readonly stranded = new Set<Hand>();
  private hand: Hand | undefined;
  private idle: NodeJS.Timeout | undefined;

  constructor(options: HandsOptions) {
    this.options = options;
  }

  /** One order at a time. Rejects with HandLost, or OutcomeError when it failed. */
  async order(order: Order): Promise<Reply> {
    clearTimeout(this.idle);
    const hand = this.hand ?? (await this.start());
    hand.child.stdin?.write(`${JSON.stringify(order)}\n`);
    const reply = await this.reply(hand, this.options.hungAfterMs ?? HUNG_AFTER_MS);
    this.idle = setTimeout(() => this.end(), IDLE_MS);
    this.idle.unref();
    if ('failed' in reply) throw new OutcomeError('failed', reply.failed);
    return reply;
  }

  /** Ends the hand; one that hangs is left behind. */
  end(): void {
    this.hand?.child.stdin?.end();
    this.hand = undefined;
  }

  private async start(): Promise<Hand> {
    if (this.stranded.size >= MOST_STRANDED) {
      throw new OutcomeError('failed', `${MOST_STRANDED} commands hang already: nothing more is begun`);
    }
    const child = start();
    const replies = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    const gone = once(child, 'exit').catch(() => undefined);
    child.stdin?.on('error', () => undefined);
    const { root, possessions } = this.options;
    child.stdin?.write(`${JSON.stringify({ root, possessions } satisfies HandIntroduction)}\n`);
    this.hand = { child, replies, gone };
    await this.reply(this.hand, HUNG_AFTER_MS);
    return this.hand;
  }

  private async reply(hand: Hand, hungAfterMs: number): Promise<Reply> {
    const stopped = new AbortController();
    const hung = whenHung(hand, hungAfterMs, stopped.signal);
    try {
      const reply = await Promise.race([hand.replies.next(), hung]);
      if (reply && !reply.done) return JSON.parse(reply.value) as Reply;
      this.hand = undefined;
      if (reply) throw new HandLost('the process that carries out commands has ended', false, hand.gone);
      this.stranded.add(hand);
      void hand.gone.then(() => this.stranded.delete(hand));
      hand.child.kill('SIGKILL');
      const message = 'a call did not come back: what was taken is put back as soon as it does';
      throw new HandLost(message, true, hand.gone);
    } finally {
      stopped.abort();
    }
  }
}

/** Resolves when it has read and written nothing for too long. */
function whenHung({ child }: Hand, hungAfterMs: number, stopped: AbortSignal): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let [done, looks] = ['', 0];
  const timer = setInterval(() => {
    const now = countersOf(child.pid);
    looks = now === done ? looks + 1 : 0;
    done = now;
    if (looks >= LOOKS) resolve(undefined);
  }, hungAfterMs / LOOKS);
  stopped.addEventListener('abort', () => clearInterval(timer));
  return promise;
}

/** How much a process has read and written so far (proc_pid_io(5)); asking waits for nothing. */
function countersOf(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/io`, 'latin1');
  } catch {
    // It has ended, which is told otherwise.
    return '';
  }
}

const SCRIPT = fileURLToPath(new URL(`./hand-process${extname(import.meta.filename)}`, import.meta.url));

const start = (): ChildProcess => startOwn('hand', SCRIPT, ['pipe', 'pipe', 'inherit']);

/**
 * One request and its answer on the HTTP/2 session. The guest decides when bytes come and how many, so every
 * wait has a deadline and every body a limit; what is not asked for is not read, which holds the guest back
 * through HTTP/2 flow control.
 */
import http2, {
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import { displayText, LIMITS, ProtocolError, parseMessage, Refusal } from '../../protocol/index.ts';
import { afterPendingInput, cancelled } from './deadline.ts';
import { ChannelError } from './error.ts';
import type { Link } from './link.ts';

/** Received bytes that wait for their reader before the stream is paused. */
const PAUSE_BYTES = 1024 * 1024;
/** The same for a page that is read slowly while other answers are wanted: one that waits can hold them back. An honest page is smaller. */
const READ_AHEAD_BYTES = 2 * LIMITS.inventoryPageBytes;

/** What a chunk costs beside its bytes. Without it, a guest could make us hold a million chunks of one byte. */
const CHUNK_BYTES = 64;

/** An answer that keeps coming may take longer than its deadline by a second for so many thousand bytes. */
const BYTES_PER_MS = 64;

type ResponseHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader;

export class Exchange {
  private readonly link: Link;
  private readonly stream: ClientHttp2Stream;
  private chunks: Buffer[] = [];
  private waitingBytes = 0;
  private receivedBytes = 0;
  private waitedMs = 0;
  private headers: ResponseHeaders | undefined;
  private complete = false;
  private failure: ChannelError | undefined;
  private wake: (() => void) | undefined;
  private deadline = 0;
  private timer: NodeJS.Timeout | undefined;
  private timerDue = 0;
  /** It goes on as long as the session: it is never too slow, and its bytes earn the guest no allowance. */
  isConversation = false;
  /** Its answer is read slowly while others are wanted. */
  readsAhead = false;

  /** An abort of the signal also ends the request, and with it the work, in the guest. */
  constructor(link: Link, stream: ClientHttp2Stream, signal?: AbortSignal) {
    this.link = link;
    this.stream = stream;
    const abort = () => this.cancel(cancelled(signal));
    signal?.addEventListener('abort', abort);
    stream.on('response', (headers) => this.change(() => (this.headers = headers)));
    stream.on('headers', () => this.violate('answers before its answer (HTTP status 1xx)'));
    stream.on('data', (chunk: Buffer) => this.take(chunk));
    stream.on('end', () => this.change(() => (this.complete = stream.rstCode === 0)));
    stream.on('drain', () => this.change());
    stream.on('error', () => this.change());
    stream.on('close', () => {
      signal?.removeEventListener('abort', abort);
      this.stopTimer();
      this.change(() => this.settleClosed());
    });
  }

  /** Bytes that node:http2 holds for us. */
  get unreadBytes(): number {
    return this.stream.readableLength;
  }

  /** Stops the request; who waits for it gets `error`. No effect on one that is over. */
  cancel(error: ChannelError): void {
    if (this.stream.destroyed || this.failure) return;
    if (!this.complete) this.link.forgiveCancelled();
    this.link.countPayload(this.unreadBytes);
    this.change(() => (this.failure = error));
    this.stream.close(http2.constants.NGHTTP2_CANCEL);
    this.stream.resume();
  }

  /** Called when the session is over: the link has the reason. */
  interrupt(): void {
    this.change();
  }

  /** Writes a part of the request body and waits while the guest holds us back. False when the guest has answered already. */
  async write(bytes: Uint8Array, within: number): Promise<boolean> {
    if (this.failure) throw this.failure;
    if (this.headers || this.stream.destroyed) return false;
    if (!this.stream.write(bytes)) {
      await this.until(() => !this.stream.writableNeedDrain || this.headers !== undefined, within);
    }
    return this.headers === undefined;
  }

  /** Writes one line of a conversation: a request whose answer goes on beside it. */
  say(bytes: Uint8Array): void {
    if (this.failure) throw this.failure;
    this.stream.write(bytes);
  }

  /** Ends the request body. */
  finish(bytes?: Uint8Array): void {
    if (bytes) this.stream.end(bytes);
    else this.stream.end();
  }

  /** Resolves when all that was written has left this process. */
  async flush(within: number): Promise<void> {
    await this.until(() => this.stream.writableFinished || this.stream.destroyed, within);
  }

  /** Awaits the answer's status; throws ChannelError `refused` with what the agent said unless it is `wanted`. */
  async answered(wanted: number, within: number): Promise<void> {
    await this.until(() => this.headers !== undefined, within);
    const status = this.headers?.[':status'];
    if (status === wanted) return;
    const untrustedRefusal = await this.readAll(within);
    throw this.guard(() => {
      const { code, message } = parseMessage(Refusal, untrustedRefusal);
      return new ChannelError('refused', `the agent refuses (${code}): ${displayText(message)}`);
    });
  }

  /** The whole body of an answer that is one message. */
  async readAll(within: number): Promise<Buffer> {
    const deadline = performance.now() + within;
    const parts: Buffer[] = [];
    let length = 0;
    for (;;) {
      const group = await this.next(deadline - performance.now());
      if (!group) return Buffer.concat(parts);
      for (const part of group) {
        parts.push(part);
        length += part.length;
      }
      if (length > LIMITS.messageBytes) throw this.violate('sends a message that is longer than allowed');
    }
  }

  /** The chunks that have come since the last call, or undefined at the end of the body. */
  async next(within: number): Promise<Buffer[] | undefined> {
    await this.until(() => this.chunks.length > 0 || this.complete, within);
    if (this.chunks.length === 0) return undefined;
    const group = this.chunks;
    this.chunks = [];
    this.waitingBytes = 0;
    if (this.stream.isPaused()) this.stream.resume();
    return group;
  }

  /** Runs a check of what the guest sent: a ProtocolError ends the session. */
  guard<T>(check: () => T): T {
    try {
      return check();
    } catch (cause) {
      if (cause instanceof ProtocolError) throw this.violate(cause.message, cause);
      throw cause;
    }
  }

  /** Ends the session: the guest broke the protocol. */
  violate(what: string, cause?: Error): ChannelError {
    return this.link.violated(what, cause);
  }

  /** Ends the session: an answer ended before it was complete. */
  cutShort(what: string): ChannelError {
    return this.link.lost(what);
  }

  /** Ends the request in the guest unless it is over. */
  abandon(): void {
    this.cancel(new ChannelError('cancelled', 'the answer was not read to its end'));
  }

  private take(chunk: Buffer): void {
    if (this.failure) return;
    this.receivedBytes += chunk.length;
    if (!this.isConversation) this.link.countPayload(chunk.length - CHUNK_BYTES);
    this.waitingBytes += chunk.length + CHUNK_BYTES;
    if (this.waitingBytes >= (this.readsAhead ? READ_AHEAD_BYTES : PAUSE_BYTES)) this.stream.pause();
    this.chunks.push(chunk);
    this.wake?.();
  }

  private change(record?: () => void): void {
    record?.();
    this.wake?.();
  }

  /** A stream that closed without having ended was broken off, by the agent or with the session. */
  private settleClosed(): void {
    this.link.release(this);
    if (this.complete || this.failure) return;
    if (this.link.over) {
      // Its reason may come only after the streams have closed.
      void this.link.ended.then(() => {
        this.stopTimer();
        this.change();
      });
      return;
    }
    this.failure = new ChannelError(
      'refused',
      `the agent broke off the request (HTTP/2 code ${this.stream.rstCode}): see its log in the guest`,
    );
  }

  /** Waits, for one caller at a time. Past the deadline the guest is silent, and the session over. */
  private async until(ready: () => boolean, within: number): Promise<void> {
    if (ready() && !this.failure) return;
    const begun = performance.now();
    this.deadline = begun + within;
    for (;;) {
      if (this.failure) throw this.failure;
      if (ready()) break;
      if (this.link.failure) throw this.link.failure;
      if (performance.now() >= this.deadline || this.isTooSlow()) throw this.link.fail(silent());
      await this.changed();
    }
    this.waitedMs += performance.now() - begun;
  }

  private isTooSlow(): boolean {
    const allowed = this.link.deadlines.answer + this.receivedBytes / BYTES_PER_MS;
    return !this.isConversation && this.waitedMs > allowed;
  }

  private changed(): Promise<void> {
    this.armTimer();
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = undefined;
        resolve();
      };
    });
  }

  /** One timer serves many waits: it wakes the present one when it is late, and is set again otherwise. */
  private armTimer(): void {
    if (this.timer && this.timerDue <= this.deadline) return;
    clearTimeout(this.timer);
    this.timerDue = this.deadline;
    const left = Math.ceil(this.deadline - performance.now());
    this.timer = setTimeout(() => this.onTimer(), left);
  }

  /** Nothing is late any more; a timer that is left would keep this process from ending. */
  private stopTimer(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private onTimer(): void {
    this.timer = undefined;
    if (!this.wake) return;
    if (performance.now() >= this.deadline) afterPendingInput(() => this.wake?.());
    else this.armTimer();
  }
}

const silent = () =>
  new ChannelError('silent', 'the guest fell silent past its deadline: see that it runs and is not paused');

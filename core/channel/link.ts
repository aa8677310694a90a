/**
 * The HTTP/2 session with one agent: begins requests, and ends everything at once, with one error, when the
 * guest breaks the protocol, falls silent or goes away.
 *
 * What node:http2 itself holds a hostile server to, tried on Node 26: frames out of order or of wrong size,
 * pushes that were not asked for, header lists over `maxHeaderListPairs` or the header limit, endless
 * CONTINUATION, empty DATA, a queue of answers to PING and SETTINGS that it does
 * not read (nghttp2's limit of 1,000). What it lets pass, `OverheadAccount` catches.
 */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { LIMITS, WINDOWS } from '../../protocol/index.ts';
import { cancelled, type Deadlines, step } from './deadline.ts';
import { ChannelError } from './error.ts';
import { Exchange } from './exchange.ts';
import { OverheadAccount } from './overhead.ts';
import { ignoreHandled } from './tls.ts';

const OVERHEAD_CHECK_MS = 250;

export interface Request {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** Of the body; a request without one has none. */
  readonly contentType?: string;
}

export class Link {
  readonly deadlines: Deadlines;
  /** Resolves when the session is over, with its error unless `close` ended it. */
  readonly ended: Promise<ChannelError | undefined>;
  private readonly socket: Socket;
  private readonly session: ClientHttp2Session;
  private readonly exchanges = new Set<Exchange>();
  private readonly turns: (() => void)[] = [];
  private readonly overhead = new OverheadAccount(performance.now());
  private readonly overheadTimer: NodeJS.Timeout;
  private payload = 0;
  private reason: ChannelError | undefined;
  private end: (error: ChannelError | undefined) => void = ignoreHandled;

  private constructor(socket: Socket, session: ClientHttp2Session, deadlines: Deadlines) {
    this.socket = socket;
    this.session = session;
    this.deadlines = deadlines;
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
    session.on('error', (cause) => this.failOn(cause));
    session.on('goaway', (code) => this.lost(`the agent said goodbye, HTTP/2 code ${code}`));
    session.on('close', () => this.lost('the agent closed the channel'));
    this.overheadTimer = setInterval(() => this.checkOverhead(), OVERHEAD_CHECK_MS);
  }

  /** Begins HTTP/2 on a TLS socket; `socket` is the one below it. */
  static async start(
    socket: Socket,
    tls: TLSSocket,
    deadlines: Deadlines,
    signal?: AbortSignal,
  ): Promise<Link> {
    const session = http2.connect('https://agent', {
      createConnection: () => tls,
      settings: {
        enablePush: false,
        initialWindowSize: WINDOWS.stream,
        maxHeaderListSize: LIMITS.headerBytes,
      },
      maxHeaderListPairs: 32,
      maxOutstandingPings: 1,
      maxSettings: 16,
    });
    const link = new Link(socket, session, deadlines);
    await step<void>(deadlines.tls, signal, silentStart, (settle) => {
      session.once('connect', () => settle.resolve());
      void link.ended.then(() => settle.reject(link.lost('it was closed')));
      return ignoreHandled;
    }).catch((error: ChannelError) => {
      throw link.fail(error);
    });
    session.setLocalWindowSize(WINDOWS.connection);
    return link;
  }

  /** The error that ended the session, if it is over. */
  get failure(): ChannelError | undefined {
    return this.reason;
  }

  /** Whether requests can still succeed. */
  get over(): boolean {
    return this.reason !== undefined || this.session.closed || this.session.destroyed;
  }

  /** Begins a request when its turn has come; its body is the exchange's to write. Throws ChannelError. */
  async begin(request: Request, signal?: AbortSignal): Promise<Exchange> {
    while (!this.reason && this.exchanges.size >= LIMITS.concurrentRequests) {
      await new Promise<void>((resolve) => this.turns.push(resolve));
    }
    if (signal?.aborted) throw cancelled(signal);
    if (this.reason) throw this.reason;
    const exchange = new Exchange(this, this.send(request), signal);
    this.exchanges.add(exchange);
    return exchange;
  }

  /** Takes note that an exchange is over. */
  release(exchange: Exchange): void {
    this.exchanges.delete(exchange);
    this.turns.shift()?.();
  }

  /** Ends the session and all of its requests with this error, or with an earlier one, and returns it. */
  fail(error: ChannelError): ChannelError {
    if (this.reason) return this.reason;
    this.finish(error);
    this.end(error);
    return error;
  }

  /** Ends the session because the agent, or the way to it, is gone. */
  lost(detail: string, cause?: Error): ChannelError {
    return this.fail(
      new ChannelError('session-lost', `the session with the agent is over (${detail}): connect again`, {
        cause,
      }),
    );
  }

  /** Ends the session because the agent broke the protocol. */
  violated(what: string, cause?: Error): ChannelError {
    return this.fail(
      new ChannelError('protocol-violation', `the agent breaks the protocol: ${what}`, { cause }),
    );
  }

  /** Ends the session from our side. Resolves when the socket is closed. */
  async close(): Promise<void> {
    if (!this.reason) {
      this.finish(new ChannelError('session-lost', 'the session was closed by this host'));
      this.end(undefined);
    }
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once('close', resolve));
  }

  /** Counts bytes that served a purpose. */
  countPayload(bytes: number): void {
    this.payload += bytes;
  }

  /** What the guest has sent for a request that we cancelled may be on its way. */
  forgiveCancelled(): void {
    this.overhead.forgive(WINDOWS.stream);
  }

  private send({ method, path, contentType }: Request): ClientHttp2Stream {
    const headers = { ':method': method, ':path': path };
    try {
      return contentType
        ? this.session.request({ ...headers, 'content-type': contentType })
        : this.session.request(headers, { endStream: true });
    } catch (cause) {
      throw this.lost('it takes no more requests', cause as Error);
    }
  }

  private finish(reason: ChannelError): void {
    this.reason = reason;
    clearInterval(this.overheadTimer);
    for (const exchange of this.exchanges) exchange.interrupt();
    for (const turn of this.turns.splice(0)) turn();
    this.session.destroy();
    this.socket.destroy();
  }

  private checkOverhead(): void {
    let payload = this.payload;
    for (const exchange of this.exchanges) payload += exchange.unreadBytes;
    if (this.overhead.settle(this.socket.bytesRead, payload, performance.now())) return;
    this.violated('it floods the channel with what is not content');
  }

  private failOn(cause: Error & { code?: string }): void {
    const code = cause.code ?? '';
    const byPeer = code === 'ERR_HTTP2_SESSION_ERROR';
    if (!byPeer && (code.startsWith('ERR_SSL') || code.startsWith('ERR_HTTP2'))) {
      this.violated(`its HTTP/2 is wrong (${cause.message})`, cause);
    } else this.lost(cause.message, cause);
  }
}

const silentStart = () => new ChannelError('silent', 'the agent fell silent when HTTP/2 began');

/**
 * One session with the host: TLS 1.3 with a certificate on both sides, HTTP/2, a login, then requests. What a
 * request may do follows from the phase that the session is in; a new session starts at the beginning.
 */
import { createHash } from 'node:crypto';
import {
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import {
  DEADLINES,
  Grant,
  type InstructionName,
  LIMITS,
  type LoginAnswer,
  parseMessage,
  ROUTES,
  TLS,
  WINDOWS,
} from '../../protocol/index.ts';
import type { Agent } from '../agent.ts';
import { messageOf, RefusedError } from '../error.ts';
import { sendContent } from '../handlers/content.ts';
import { sendDigests } from '../handlers/digests.ts';
import { Walks } from '../handlers/files.ts';
import { sendPieces } from '../handlers/pieces.ts';
import { sendProcesses } from '../handlers/processes.ts';
import { Staging } from '../handlers/staging.ts';
import { HostClock } from './clock.ts';
import { answerCommand } from './commands.ts';
import { Exchange } from './exchange.ts';
import { holdLogin, loginRequest } from './login.ts';
import { Pace } from './pace.ts';

/** Megabytes that HTTP/2 may hold for one session: the answers on their way, for the most part. */
const SESSION_MEMORY_MB = 64;
const MOST_HEADERS = 32;
/** HTTP/2 sends the head of a new request before the data of an old one, so a request can overtake the answer. */
const ANSWER_GRACE_MS = 1000;

/** A host that was accepted, and what it granted itself to ask of this guest. */
export interface Accepted {
  readonly epoch: number;
  readonly clock: HostClock;
  readonly granted: ReadonlySet<InstructionName>;
}

type Phase =
  | { readonly kind: 'unauthenticated' }
  | { readonly kind: 'refused'; readonly code: 'host-key-changed' | 'not-logged-in'; readonly why: string }
  | { readonly kind: 'login'; readonly hostKey: string }
  | { readonly kind: 'ended' }
  | ({ readonly kind: 'accepted' } & Accepted);

export class Session {
  private readonly agent: Agent;
  private readonly stream: Duplex;
  private readonly server: Http2SecureServer;
  private readonly loginDeadline: NodeJS.Timeout;
  private readonly staging: Staging;
  private readonly walks: Walks;
  private readonly pace: Pace;
  private phase: Phase = { kind: 'unauthenticated' };
  /** Of the login that has begun: settled when the host has answered. */
  private answer: PromiseWithResolvers<void> | undefined;
  private http2: ServerHttp2Session | undefined;

  constructor(agent: Agent, stream: Duplex) {
    this.agent = agent;
    this.stream = stream;
    this.staging = new Staging(agent.state);
    this.pace = new Pace(agent.paceClock);
    this.walks = new Walks(agent, this.pace);
    this.server = createServer(agent);
    this.loginDeadline = setTimeout(() => this.end('nobody logged in'), DEADLINES.tls + DEADLINES.login);
    this.server.on('secureConnection', (socket: TLSSocket) => this.authenticate(socket));
    this.server.on('session', (session) => {
      this.http2 = session;
      session.on('error', (error) => this.end(messageOf(error)));
    });
    this.server.on('stream', (request, headers) => {
      void this.serve(new Exchange(request as ServerHttp2Stream, headers));
    });
    this.server.on('tlsClientError', (error) => this.end(`TLS: ${messageOf(error)}`));
    stream.on('error', (error) => this.end(messageOf(error)));
    stream.once('close', () => this.end());
    this.server.emit('connection', stream);
  }

  /** Stops all work of this session; a command that has begun is brought to its end and recorded. */
  end(why?: string): void {
    if (this.phase.kind === 'ended') return;
    if (why) this.agent.log(`session ended: ${why}`);
    this.phase = { kind: 'ended' };
    clearTimeout(this.loginDeadline);
    if (this.http2) leave(this.http2);
    else this.stream.destroy();
    this.staging.clear();
    this.walks.clear();
  }

  private authenticate(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) {
      this.end('the host showed no certificate');
      return;
    }
    const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
    const hostKey = createHash('sha256').update(spki).digest('hex');
    const objection = this.agent.allegiance.objectionTo(hostKey);
    this.phase = objection
      ? { kind: 'refused', code: 'host-key-changed', why: objection }
      : { kind: 'login', hostKey };
  }

  private async serve(exchange: Exchange): Promise<void> {
    try {
      await this.route(exchange);
    } catch (error) {
      if (exchange.signal.aborted) return;
      this.agent.log(`${exchange.method} ${exchange.path}: ${messageOf(error)}`);
      exchange.fail(error);
    }
  }

  private async route(exchange: Exchange): Promise<void> {
    const { method, path } = exchange;
    if (method === 'POST' && path === ROUTES.login) return this.login(exchange);
    const accepted = await this.requireLogin();
    if (method === 'POST' && path === ROUTES.grant) return this.takeGrant(exchange, accepted);
    if (method === 'POST' && path === ROUTES.openc2) {
      return answerCommand(exchange, this.agent, accepted, this.staging);
    }
    if (path === ROUTES.files || path.startsWith(ROUTES.walk)) {
      this.require(accepted, 'query:files');
      return this.list(exchange);
    }
    if (method === 'POST' && path === ROUTES.content) {
      this.require(accepted, 'query:content');
      return sendContent(exchange, this.agent.readers, this.pace);
    }
    if (method === 'POST' && path === ROUTES.digests) {
      this.require(accepted, 'query:content');
      return sendDigests(exchange, this.agent.readers, this.pace);
    }
    if (method === 'POST' && path === ROUTES.pieces) {
      this.require(accepted, 'query:content');
      return sendPieces(exchange, this.agent.readers, this.pace);
    }
    if (method === 'POST' && path === ROUTES.processes) {
      this.require(accepted, 'query:processes');
      return sendProcesses(exchange, this.agent.readers, this.pace);
    }
    if (method === 'PUT' && path.startsWith(ROUTES.staged)) {
      this.require(accepted, 'restore:file', 'update:file');
      await this.staging.receive(path.slice(ROUTES.staged.length), exchange);
      return exchange.answerEmpty();
    }
    throw new RefusedError('no-such-route', 'there is no such route');
  }

  private list(exchange: Exchange): Promise<void> | void {
    const walk = exchange.path.slice(ROUTES.walk.length);
    if (exchange.method === 'POST') {
      return walk === '' ? this.walks.begin(exchange) : this.walks.next(exchange, walk);
    }
    if (exchange.method !== 'DELETE') throw new RefusedError('no-such-route', 'there is no such route');
    this.walks.drop(walk);
    exchange.answerEmpty();
  }

  private async login(exchange: Exchange): Promise<void> {
    if (this.phase.kind === 'refused') throw new RefusedError(this.phase.code, this.phase.why);
    if (this.phase.kind !== 'login') throw new RefusedError('bad-request', 'one login to a session');
    if (this.answer) throw new RefusedError('bad-request', 'one login to a session');
    const { hostKey } = this.phase;
    this.answer = Promise.withResolvers();
    try {
      const request = loginRequest(this.agent, hostKey);
      await holdLogin(exchange, request, (answer) => this.decide(answer, hostKey));
      this.end('the host closed it');
    } catch (error) {
      this.end(`login: ${messageOf(error)}`);
    }
  }

  private decide(answer: LoginAnswer, hostKey: string): void {
    clearTimeout(this.loginDeadline);
    this.answer?.resolve();
    if (answer.type === 'refuse') {
      this.agent.log(`the host refused the login: ${answer.code}: ${answer.message}`);
      this.phase = { kind: 'refused', code: 'not-logged-in', why: `refused by the host: ${answer.code}` };
      return;
    }
    const objection = this.agent.allegiance.objectionToEpoch(answer.epoch);
    if (objection) {
      this.agent.log(`the login was not accepted: ${objection}`);
      this.phase = { kind: 'refused', code: 'not-logged-in', why: objection };
      return;
    }
    this.agent.allegiance.accept(hostKey, answer.epoch);
    const clock = new HostClock(answer.hostTime);
    this.phase = { kind: 'accepted', epoch: answer.epoch, clock, granted: new Set() };
  }

  private async requireLogin(): Promise<Accepted> {
    if (this.phase.kind === 'login' && this.answer)
      await Promise.race([this.answer.promise, delay(ANSWER_GRACE_MS)]);
    if (this.phase.kind === 'accepted') return this.phase;
    if (this.phase.kind === 'refused') throw new RefusedError(this.phase.code, this.phase.why);
    throw new RefusedError('not-logged-in', 'log in first');
  }

  /** One of `names` must be granted, and not denied by the guest's administrator. */
  private require(accepted: Accepted, ...names: InstructionName[]): void {
    const granted = names.filter((name) => accepted.granted.has(name));
    if (granted.length === 0) throw new RefusedError('not-granted', `${names.join(' or ')} was not granted`);
    if (granted.every((name) => this.agent.denied.has(name))) {
      throw new RefusedError('denied', `the guest's administrator denies ${granted.join(' and ')}`);
    }
  }

  private async takeGrant(exchange: Exchange, accepted: Accepted): Promise<void> {
    const { instructions, budget } = parseMessage(Grant, await exchange.body());
    this.phase = { ...accepted, kind: 'accepted', granted: new Set(instructions) };
    this.pace.set(budget);
    exchange.answerEmpty();
  }
}

/** Says goodbye to a host that still listens, then breaks off all that is left. */
function leave(http2: ServerHttp2Session): void {
  if (http2.destroyed) return;
  http2.goaway();
  setImmediate(() => http2.destroy());
}

function createServer({ identity }: Agent): Http2SecureServer {
  return createSecureServer({
    key: identity.key,
    cert: identity.certificate,
    minVersion: TLS.minVersion,
    ciphers: TLS.ciphers,
    ALPNProtocols: [TLS.alpn],
    // The host's key is what counts, and is pinned; its certificate is self-signed as ours is.
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: DEADLINES.tls,
    maxSessionMemory: SESSION_MEMORY_MB,
    maxHeaderListPairs: MOST_HEADERS,
    maxSendHeaderBlockLength: LIMITS.headerBytes,
    settings: {
      maxConcurrentStreams: LIMITS.concurrentRequests,
      maxHeaderListSize: LIMITS.headerBytes,
      initialWindowSize: WINDOWS.stream,
      enablePush: false,
    },
  });
}

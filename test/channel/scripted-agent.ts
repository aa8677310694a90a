/**
 * A small agent for tests, built on the wire contract alone. Every route can be replaced; `bytes` takes over
 * below TLS, `raw` below HTTP/2, which is where the hostile ones work.
 */
import { createHash, randomUUID } from 'node:crypto';
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createServer as createTlsServer, type SecureVersion, type TLSSocket } from 'node:tls';
import {
  type ContentRequest,
  echo,
  encodeFeatures,
  encodeLine,
  encodeOutcome,
  encodeRecord,
  type Features,
  INSTRUCTION_NAMES,
  MAGIC,
  PREAMBLE_BYTES,
  PreambleScanner,
  RECORD,
  ROUTES,
  TLS,
  toPairs,
} from '../../protocol/index.ts';

export interface Keys {
  readonly key: string;
  readonly certificate: string;
}

export type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, agent: ScriptedAgent) => void;

export interface Script {
  readonly keys: Keys;
  readonly login?: Record<string, unknown>;
  readonly features?: Features;
  readonly routes?: Readonly<Record<string, Handler>>;
  readonly tls?: { minVersion?: SecureVersion; maxVersion?: SecureVersion; alpn?: string[] };
  /** Takes the place of all that follows the connect. */
  readonly bytes?: (socket: Socket) => void;
  /** What is sent in place of the echo. */
  readonly echo?: (nonce: Buffer) => Buffer;
  /** Preambles that go unanswered at first, as if the agent were slow; then all are, the first echo long before the others. */
  readonly slowBy?: number;
  /** Takes the place of HTTP/2, once TLS stands. */
  readonly raw?: (tls: TLSSocket) => void;
}

export const FEATURES: Features = {
  versions: ['1.0'],
  profiles: ['er'],
  pairs: toPairs(INSTRUCTION_NAMES),
  'x-lazaret': {
    os: { id: 'debian', version: '12', name: 'Debian', kernel: '6.1.0', arch: 'x86_64' },
    init: 'systemd',
    privileges: { uid: 0, root: true },
    fileSystems: [{ path: '/', type: 'ext4' }],
    denied: [],
    limits: { stagedBytes: 1 << 20, contentFiles: 1024 },
  },
};

export class ScriptedAgent implements AsyncDisposable {
  readonly agentId = randomUUID();
  /** May be changed between connections. */
  bootId: string = randomUUID();
  script: Script;
  /** Sessions that reached HTTP/2, and requests by path. */
  readonly sessions: ServerHttp2Session[] = [];
  readonly requests: string[] = [];
  readonly loginAnswers: unknown[] = [];
  /** How many hosts connected. */
  connections = 0;
  onAnswer: ((answer: unknown) => void) | undefined;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private http2: http2.Http2SecureServer | undefined;

  private constructor(script: Script) {
    this.script = script;
    this.server = createServer((socket) => this.accept(socket));
  }

  static async start(path: string, script: Script): Promise<ScriptedAgent> {
    const agent = new ScriptedAgent(script);
    await new Promise<void>((resolve, reject) => {
      agent.server.once('error', reject).listen(path, resolve);
    });
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutOff();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** A line of the host on the login request. */
  take(answer: unknown): void {
    this.loginAnswers.push(answer);
    this.onAnswer?.(answer);
  }

  /** As when its process is killed: what is under way ends without a word. */
  cutOff(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private accept(socket: Socket): void {
    this.connections += 1;
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.sockets.delete(socket));
    if (this.script.bytes) this.script.bytes(socket);
    else if (this.script.raw) this.serveRaw(socket, this.script.raw);
    else serveResync(socket, this.script, (stream) => this.secure(stream));
  }

  /** One session, whose TLS reads the socket by itself. */
  private serveRaw(socket: Socket, raw: (tls: TLSSocket) => void): void {
    const server = createTlsServer(this.tlsOptions(), (tls) => raw(tls.on('error', () => tls.destroy())));
    socket.once('data', (preamble: Buffer) => {
      socket.pause();
      socket.write(echo(preamble.subarray(MAGIC.length, PREAMBLE_BYTES)));
      server.emit('connection', socket);
    });
  }

  private tlsOptions() {
    const { keys, tls } = this.script;
    return {
      key: keys.key,
      cert: keys.certificate,
      requestCert: true,
      rejectUnauthorized: false,
      ciphers: TLS.ciphers,
      minVersion: tls?.minVersion ?? TLS.minVersion,
      maxVersion: tls?.maxVersion ?? TLS.maxVersion,
      ALPNProtocols: tls?.alpn ?? [TLS.alpn],
    };
  }

  private secure(stream: Duplex): void {
    this.http2 ??= this.createHttp2();
    this.http2.emit('connection', stream);
  }

  private createHttp2(): http2.Http2SecureServer {
    const server = http2.createSecureServer(this.tlsOptions());
    server.on('session', (session: ServerHttp2Session) => {
      this.sessions.push(session.on('error', () => session.destroy()));
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('stream', (request: ServerHttp2Stream, headers) => this.serve(request, headers));
    return server;
  }

  private serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const path = headers[':path'] ?? '';
    this.requests.push(path);
    stream.on('error', () => stream.destroy());
    const handler = Object.entries({ ...HANDLERS, ...this.script.routes }).find(([route]) =>
      path.startsWith(route),
    )?.[1];
    if (handler) handler(stream, headers, this);
    else respond(stream, 404, { code: 'no-such-route', message: path });
  }
}

/** The agent's side of the resync. Each preamble ends what there was and begins a new stream. */
function serveResync(socket: Socket, script: Script, begin: (stream: Duplex) => void): void {
  const scanner = new PreambleScanner();
  const unanswered: Buffer[] = [];
  const late: Buffer[] = [];
  let ignore = script.slowBy ?? 0;
  let stream: Duplex | undefined;
  socket.on('data', (chunk: Buffer) => {
    for (const bytes of late.splice(0)) socket.write(bytes);
    for (const part of scanner.push(chunk)) {
      if (part.kind === 'bytes') {
        if (stream && !stream.push(part.bytes)) socket.pause();
        continue;
      }
      stream?.destroy();
      unanswered.push(Buffer.from(part.nonce));
      if (ignore-- > 0) continue;
      const [first, ...others] = unanswered.splice(0).map(script.echo ?? echo);
      if (first) socket.write(first);
      late.push(...others);
      stream = over(socket);
      begin(stream);
    }
  });
}

/** A session's bytes on the socket that outlives it. */
function over(socket: Socket): Duplex {
  const stream = new Duplex({
    readableHighWaterMark: 1 << 20,
    writableHighWaterMark: 1 << 20,
    read: () => void socket.resume(),
    write: (chunk, _encoding, done) => {
      if (socket.write(chunk)) done();
      else socket.once('drain', done);
    },
    destroy: (_error, done) => done(null),
  });
  socket.setMaxListeners(0).on('close', () => stream.destroy());
  return stream.on('error', () => stream.destroy());
}

export function respond(stream: ServerHttp2Stream, status: number, message?: unknown): void {
  stream.respond({ ':status': status });
  stream.end(message === undefined ? undefined : JSON.stringify(message));
}

export function sendLines(stream: ServerHttp2Stream, lines: readonly unknown[]): void {
  stream.respond({ ':status': 200 });
  stream.end(Buffer.concat(lines.map(encodeLine)));
}

export async function bodyOf(stream: ServerHttp2Stream): Promise<Buffer> {
  return Buffer.concat(await stream.toArray());
}

export const HEARTBEAT = encodeLine({ type: 'heartbeat' });

export const loginLine = (agent: ScriptedAgent) => ({
  type: 'login',
  protocol: [1],
  agent: { id: agent.agentId, version: '0.0.0' },
  bootId: agent.bootId,
  ...agent.script.login,
});

export const factsOf = (size: number) => ({
  ...{ dev: '1', ino: '2', size, mtime: '0.000000000', ctime: '0.000000000' },
  ...{ mode: 0o100644, uid: 0, gid: 0, links: 1 },
});

/** A file of `size` bytes as records. */
export const fileRecords = (index: number, content: Buffer): Buffer =>
  Buffer.concat([
    encodeRecord(RECORD.open, index, Buffer.from(JSON.stringify(factsOf(content.length)))),
    encodeRecord(RECORD.data, index, content),
    encodeRecord(RECORD.end, index),
  ]);

export const contentOf = (index: number): Buffer => createHash('sha256').update(String(index)).digest();

const HANDLERS: Readonly<Record<string, Handler>> = {
  [ROUTES.login]: (stream, _headers, agent) => {
    stream.respond({ ':status': 200 });
    stream.write(encodeLine(loginLine(agent)));
    stream.on('data', (chunk) => {
      agent.take(JSON.parse(String(chunk)));
      stream.write(encodeLine({ type: 'heartbeat' }));
    });
    stream.on('end', () => stream.end());
  },
  [ROUTES.grant]: (stream) => void bodyOf(stream).then(() => respond(stream, 204)),
  [ROUTES.openc2]: (stream, _headers, agent) =>
    void bodyOf(stream).then((body) => {
      const { headers, body: message } = JSON.parse(String(body));
      const isQuery = message.openc2.request.action === 'query';
      const id = headers.request_id;
      const features = agent.script.features ?? FEATURES;
      respond(stream, 200, isQuery ? encodeFeatures(id, features) : encodeOutcome(id, { code: 'done' }));
    }),
  [ROUTES.files]: (stream) =>
    sendLines(stream, [
      { type: 'directory', path: '/etc', dev: '1', files: [entry('passwd', 100), entry('group', 200)] },
      { type: 'end', files: 2, directories: 1, bytes: 300 },
    ]),
  [ROUTES.content]: (stream) =>
    void bodyOf(stream).then((body) => {
      const { files } = JSON.parse(String(body)) as ContentRequest;
      stream.respond({ ':status': 200 });
      stream.end(Buffer.concat(files.map((_, index) => fileRecords(index, contentOf(index)))));
    }),
  [ROUTES.processes]: (stream) =>
    sendLines(stream, [
      { type: 'process', pid: 1, parent: 0, start: '1', uid: 0, name: 'init', commandLine: ['/sbin/init'] },
      { type: 'end', processes: 1 },
    ]),
  [ROUTES.staged]: (stream) => void bodyOf(stream).then(() => respond(stream, 204)),
};

export const entry = (name: string, size: number) => [
  ...[name, '7', size, '1700000000.000000000', '1700000000.000000000', 0o100644, 0, 0, 1],
];

/** A host for tests of the agent, made of nothing but `protocol/`: resync, TLS, HTTP/2, login, requests. */
import { createHash, randomBytes, randomUUID, webcrypto, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import { Duplex, PassThrough, pipeline, type Readable } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import {
  type Budget,
  type ContentRecord,
  type ContentRequest,
  DigestLine,
  EchoFinder,
  encodeCommand,
  encodeFeatureQuery,
  encodeLine,
  type Features,
  FeaturesResponse,
  type Instruction,
  type InstructionName,
  InventoryLine,
  type InventoryRequest,
  LineSplitter,
  type LoginAnswer,
  type LoginRequest,
  type loginRefusalCodes,
  type Outcome,
  OutcomeResponse,
  PieceLine,
  type PieceRequest,
  ProcessLine,
  parseMessage,
  preamble,
  RecordSplitter,
  Refusal,
  ROUTES,
  type SealedInstruction,
  WINDOWS,
} from '../../protocol/index.ts';

export interface Certificate {
  readonly key: string;
  readonly certificate: string;
}

export async function makeCertificate(): Promise<Certificate> {
  await import('reflect-metadata');
  const { cryptoProvider, PemConverter, X509CertificateGenerator } = await import('@peculiar/x509');
  cryptoProvider.set(webcrypto as Crypto);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=host',
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2099-01-01'),
    signingAlgorithm: algorithm,
    keys,
  });
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { key, certificate: certificate.toString('pem') };
}

/** A request that the agent refused. */
export class RefusedByAgent extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(`${refusal.code}: ${refusal.message}`);
    this.refusal = refusal;
  }
}

export interface TestExchange {
  readonly request: ClientHttp2Stream;
  readonly body: Readable;
}

export interface LoginOptions {
  readonly epoch?: number;
  readonly hostTime?: number;
}

export class TestHost {
  readonly http2: ClientHttp2Session;
  readonly socket: Socket;
  /** Resolves when the session is over, or the agent says that it will be. */
  readonly ended: Promise<void>;
  epoch = 1;
  private readonly tls: TLSSocket;
  private loginStream: ClientHttp2Stream | undefined;

  private constructor(socket: Socket, tls: TLSSocket, http2: ClientHttp2Session) {
    this.socket = socket;
    this.tls = tls;
    this.http2 = http2;
    http2.on('error', () => http2.destroy());
    this.ended = new Promise((resolve) => http2.once('goaway', () => resolve()).once('close', resolve));
  }

  static async connect(path: string, certificate: Certificate): Promise<TestHost> {
    return TestHost.over(connectSocket(path), certificate);
  }

  static async over(socket: Socket, { key, certificate }: Certificate): Promise<TestHost> {
    const tls: TLSSocket = connectTls({
      socket: await resync(socket),
      key,
      cert: certificate,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.3',
    });
    await once(tls, 'secureConnect');
    const http2 = connectHttp2('https://agent', {
      createConnection: () => tls,
      settings: { initialWindowSize: WINDOWS.stream, enablePush: false },
    });
    await once(http2, 'connect');
    http2.setLocalWindowSize(WINDOWS.connection);
    return new TestHost(socket, tls, http2);
  }

  async login({ epoch = 1, hostTime = Date.now() }: LoginOptions = {}): Promise<LoginRequest> {
    this.epoch = epoch;
    return this.answerLogin({ type: 'accept', session: randomUUID(), epoch, hostTime });
  }

  /** SHA-256 of both sides' public keys, as TLS showed them. */
  keys(): { readonly agentKey: string; readonly hostKey: string } {
    const [agent, host] = [this.tls.getPeerX509Certificate(), this.tls.getX509Certificate()];
    if (!agent || !host) throw new Error('TLS does not stand');
    return { agentKey: keyIdOf(agent), hostKey: keyIdOf(host) };
  }

  async refuse(code: (typeof loginRefusalCodes)[number]): Promise<void> {
    await this.answerLogin({ type: 'refuse', code, message: '' });
  }

  endLogin(): void {
    this.loginStream?.end();
  }

  writeLogin(line: Buffer): void {
    this.loginStream?.write(line);
  }

  async grant(...instructions: InstructionName[]): Promise<void> {
    await this.ask(ROUTES.grant, { id: 'test', instructions });
  }

  async grantWithin(budget: Budget, ...instructions: InstructionName[]): Promise<void> {
    await this.ask(ROUTES.grant, { id: 'test', instructions, budget });
  }

  async features(): Promise<Features> {
    const body = await this.ask(ROUTES.openc2, encodeFeatureQuery(randomUUID()));
    return parseMessage(FeaturesResponse, body).body.openc2.response.results;
  }

  send(
    instruction: Instruction,
    seal: Partial<Omit<SealedInstruction, 'instruction'>> = {},
  ): Promise<Outcome> {
    const { id = randomUUID(), epoch = this.epoch, expires = Date.now() + 60_000 } = seal;
    return this.sendSealed({ id, epoch, expires, instruction });
  }

  async sendSealed(sealed: SealedInstruction): Promise<Outcome> {
    const body = await this.ask(ROUTES.openc2, encodeCommand(sealed));
    return parseMessage(OutcomeResponse, body).body.openc2.response.results['x-lazaret'];
  }

  /** All lines of a listing, `more` left out. `known` are digests of lines. */
  async files(
    request: Partial<InventoryRequest> = {},
    known: readonly Buffer[] = [],
  ): Promise<InventoryLine[]> {
    const lines = await this.firstPage(request, known);
    for (let last = lines.pop(); ; last = lines.pop()) {
      if (last?.type !== 'more') return last ? [...lines, last] : lines;
      lines.push(...(await this.nextPage(last.walk)));
    }
  }

  async firstPage(
    request: Partial<InventoryRequest> = {},
    known: readonly Buffer[] = [],
  ): Promise<InventoryLine[]> {
    const defaults = {
      excludes: [],
      oneFileSystem: false,
      maxEntries: 1e6,
      maxDepth: 10_000,
      maxSeconds: 60,
    };
    const exchange = this.open('POST', ROUTES.files);
    exchange.request.end(Buffer.concat([encodeLine({ roots: ['/'], ...defaults, ...request }), ...known]));
    return inventoryLines((await this.answered(exchange)).body);
  }

  async nextPage(walk: string): Promise<InventoryLine[]> {
    return inventoryLines(await this.read(`${ROUTES.walk}${walk}`));
  }

  async dropWalk(walk: string): Promise<void> {
    const exchange = this.open('DELETE', `${ROUTES.walk}${walk}`);
    exchange.request.end();
    await this.answered(exchange);
  }

  async digests(files: ContentRequest['files'], maxFileBytes = 2 ** 40): Promise<DigestLine[]> {
    const body = await this.read(ROUTES.digests, { files, maxFileBytes });
    return Array.fromAsync(readLines(body), (line) => parseMessage(DigestLine, line));
  }

  async pieces(files: PieceRequest['files']): Promise<PieceLine[]> {
    const body = await this.read(ROUTES.pieces, { files });
    return Array.fromAsync(readLines(body), (line) => parseMessage(PieceLine, line));
  }

  async processes(): Promise<ProcessLine[]> {
    const lines: ProcessLine[] = [];
    for await (const line of readLines(await this.read(ROUTES.processes))) {
      lines.push(parseMessage(ProcessLine, line));
    }
    return lines;
  }

  /** A payload is valid until the next record is asked for. */
  async *content(files: ContentRequest['files'], maxFileBytes = 2 ** 40): AsyncGenerator<ContentRecord> {
    const splitter = new RecordSplitter();
    for await (const chunk of await this.read(ROUTES.content, { files, maxFileBytes })) {
      yield* splitter.push(chunk as Buffer);
    }
    splitter.end();
  }

  async stage(sha256: string, content: Uint8Array): Promise<void> {
    const exchange = this.open('PUT', `${ROUTES.staged}${sha256}`);
    exchange.request.end(content);
    await this.answered(exchange);
  }

  /** The whole answer to one message; throws RefusedByAgent. */
  async ask(path: string, message?: unknown): Promise<Buffer> {
    return collect(await this.read(path, message));
  }

  /** The answer to one message as it comes; throws RefusedByAgent. */
  async read(path: string, message?: unknown): Promise<Readable> {
    const exchange = this.open('POST', path);
    exchange.request.end(message === undefined ? undefined : encodeLine(message));
    return (await this.answered(exchange)).body;
  }

  private async answerLogin(answer: LoginAnswer): Promise<LoginRequest> {
    const { request, body } = await this.answered(this.open('POST', ROUTES.login));
    this.loginStream = request;
    const first = await readLines(body).next();
    body.resume();
    request.write(encodeLine(answer));
    return JSON.parse(String(first.value)) as LoginRequest;
  }

  open(method: string, path: string): TestExchange {
    const request = this.http2.request({ ':method': method, ':path': path }, { endStream: false });
    // Node calls a stream closed when all of it has come, read or not: it is taken over before that.
    const body = pipeline(request, new PassThrough({ highWaterMark: 1024 * 1024 }), () => undefined);
    return { request, body };
  }

  /** Waits for the head of the answer; throws RefusedByAgent. */
  async answered(exchange: TestExchange): Promise<TestExchange> {
    const [headers] = (await once(exchange.request, 'response')) as [Record<string, unknown>];
    if (Number(headers[':status']) < 400) return exchange;
    throw new RefusedByAgent(parseMessage(Refusal, await collect(exchange.body)));
  }

  destroy(): void {
    this.loginStream?.close();
    this.http2.destroy();
    this.socket.destroy();
  }

  async close(): Promise<void> {
    const closed = once(this.socket, 'close');
    this.destroy();
    await closed;
  }
}

function keyIdOf({ publicKey }: X509Certificate): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

async function collect(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

function inventoryLines(stream: Readable): Promise<InventoryLine[]> {
  return Array.fromAsync(readLines(stream), (line) => parseMessage(InventoryLine, line));
}

async function* readLines(stream: Readable): AsyncGenerator<Buffer> {
  const splitter = new LineSplitter();
  for await (const chunk of stream as AsyncIterable<Buffer>) yield* splitter.push(chunk);
  splitter.end();
}

/** Finds the agent on a socket; the stream that it gives begins where TLS does, and leaves the socket open. */
export async function resync(socket: Socket): Promise<Duplex> {
  const nonce = randomBytes(16);
  const finder = new EchoFinder(nonce);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject);
  const stream = new Duplex({
    read: () => void socket.resume(),
    write: (chunk, _encoding, done) => void socket.write(chunk, done),
    destroy: (error, done) => {
      socket.off('data', receive).off('close', end);
      done(error);
    },
  });
  const receive = (chunk: Buffer): void => {
    const bytes = finder.push(chunk);
    if (finder.found) resolve();
    if (bytes.length > 0 && !stream.push(bytes)) socket.pause();
  };
  const end = (): void => void stream.push(null);
  socket.on('data', receive).on('close', end).resume();
  const repeat = setInterval(() => socket.write(preamble(nonce)), 100);
  socket.write(preamble(nonce));
  await promise.finally(() => clearInterval(repeat));
  return stream;
}

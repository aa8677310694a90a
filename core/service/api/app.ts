/** One server of the API, for one socket: hooks that every request passes, then the routes. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { ApiError } from '../error.ts';
import type { Operations } from '../operations.ts';
import { ACCESS, type Identity, isPrivileged, mayUse, type RouteKey } from './access.ts';
import type { Audit, RequestFacts } from './audit.ts';
import type { Authenticate } from './authenticate.ts';
import { Connections } from './connections.ts';
import { errorHandler, told } from './errors.ts';
import type { ApiLimits } from './limits.ts';
import { openApiOptions } from './openapi.ts';
import { registerRoutes } from './register.ts';

declare module 'fastify' {
  interface FastifyRequest {
    identity: Identity | undefined;
  }
  interface FastifyContextConfig {
    access?: RouteKey;
  }
}

export interface AppParts {
  readonly operations: Operations;
  readonly authenticate: Authenticate;
  readonly limits: ApiLimits;
  readonly audit: Audit;
  /** Where packs arrive. */
  readonly uploads: string;
  /** Aborted when the API closes: those who follow scans are let go. */
  readonly closing: AbortSignal;
  /** Told of each answer: the route, or `none`; its status; how long it took in milliseconds. */
  readonly onAnswer?: ((route: RouteKey | 'none', status: number, milliseconds: number) => void) | undefined;
}

/** With it, the server speaks TLS. */
export interface Transport {
  readonly https?: TlsOptions | undefined;
}

const SECOND = 1000;
const LAST_WORDS_MS = 500;

export async function createApp(parts: AppParts, transport: Transport = {}): Promise<FastifyInstance> {
  const connections = new Connections(parts.limits);
  const app = fastify(
    serverOptions(parts, transport, connections) as FastifyServerOptions,
  ) as FastifyInstance;
  // JSON is all that is taken.
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(validatorCompiler);
  // Answers have the types of their schemas already; to go through each anew would be most of a request's cost.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  app.setErrorHandler(
    errorHandler((error, answer, request) => noteError(parts.audit, error, answer, request)),
  );
  app.setNotFoundHandler(() => {
    throw new ApiError('no-such-route', 'there is no such route: see GET /v1/openapi.json');
  });
  app.decorateRequest('identity', undefined);
  connections.watch(app.server);
  await app.register(rateLimit, { global: false });
  await app.register(swagger, openApiOptions());
  admit(app, parts, connections);
  report(app, parts);
  await registerRoutes(app, parts);
  return app;
}

function serverOptions({ limits, audit }: AppParts, { https }: Transport, connections: Connections): object {
  const { timeouts } = limits;
  const node = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: timeouts.headers,
    requestTimeout: timeouts.request,
    // How often it is looked for requests that take too long.
    connectionsCheckingInterval: Math.min(timeouts.headers, timeouts.request, 5 * SECOND),
  };
  return {
    ...(https ? { https: { ...https, ...node, handshakeTimeout: timeouts.handshake } } : { http: node }),
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: timeouts.request,
    keepAliveTimeout: timeouts.keepAlive,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: errorHandler((error, answer, request) => noteError(audit, error, answer, request)),
    clientErrorHandler: (error: Error, socket: Socket) => refuse(error, socket, connections),
  };
}

/** Before anything is looked at: not too long, not from a browser, not too often, known, and allowed to. */
function admit(app: FastifyInstance, { authenticate, limits }: AppParts, connections: Connections): void {
  const limiter = app.createRateLimit({
    max: limits.requestsPerSecond,
    timeWindow: SECOND,
    // A flood without a token takes nothing from those who have one.
    keyGenerator: (request) => (request.identity ? `as ${request.identity.name}` : `from ${request.ip}`),
  });
  app.addHook('onRequest', async (request, reply) => {
    request.identity = authenticate(request.raw);
    const { socket } = request.raw;
    if (request.identity) reply.raw.once('close', connections.asked(socket));
    if (hasBody(request.raw)) cutWhenIdle(request.raw, limits.timeouts.idle);
    if (request.raw.url !== undefined && request.raw.url.length > limits.urlLength)
      throw new ApiError('too-large', `an address may have at most ${limits.urlLength} characters`);
    const rate = await limiter(request);
    if ('isExceeded' in rate && rate.isExceeded) {
      reply.header('retry-after', rate.ttlInSeconds);
      throw new ApiError(
        'too-many-requests',
        `at most ${limits.requestsPerSecond} requests a second: slow down`,
      );
    }
    if (request.headers.origin !== undefined)
      throw new ApiError(
        'forbidden',
        'a page in a browser may not use this API: leave out the header Origin',
      );
    requireAccess(request);
  });
}

function requireAccess({ identity, routeOptions }: FastifyRequest): void {
  const key = routeOptions.config?.access;
  if (key !== undefined && ACCESS[key] === 'anyone') return;
  if (!identity) {
    throw new ApiError(
      'unauthenticated',
      'no such token: send "Authorization: Bearer TOKEN", or use a client certificate that is configured',
    );
  }
  if (key !== undefined && !mayUse(identity.role, ACCESS[key]))
    throw new ApiError(
      'forbidden',
      `this needs the role ${ACCESS[key]}, and ${identity.name} is ${identity.role}`,
    );
}

function report(app: FastifyInstance, { audit, onAnswer, limits }: AppParts): void {
  app.addHook('onSend', async (_request, reply) => {
    // Nobody has to wait for one who does not take the answer; when it is out, Node sets what holds between requests.
    reply.raw.socket?.setTimeout(limits.timeouts.idle);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    const key = request.routeOptions.config?.access;
    if (key !== undefined && isPrivileged(key) && request.identity && reply.statusCode !== 403)
      audit.answered(factsOf(request), reply.statusCode);
    onAnswer?.(key ?? 'none', reply.statusCode, reply.elapsedTime);
  });
}

export const factsOf = ({ identity, ip, method, raw }: FastifyRequest): RequestFacts => ({
  who: identity?.name,
  // A unix socket's peer has no address.
  source: ip || 'unix',
  method,
  untrustedUrl: raw.url ?? '',
});

const REFUSALS: ReadonlySet<number> = new Set([401, 403, 413, 429, 503]);

function noteError(
  audit: Audit,
  error: unknown,
  { status, body, unforeseen }: ReturnType<typeof told>,
  request: FastifyRequest,
): void {
  if (unforeseen) audit.failed(factsOf(request), error);
  else if (REFUSALS.has(status)) audit.refused(factsOf(request), body.error.code);
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** A body of which nothing comes for so long: its socket is destroyed, as there is nothing else that hears of it. */
function cutWhenIdle(request: IncomingMessage, milliseconds: number): void {
  const { socket } = request;
  socket.setTimeout(milliseconds);
  request.once('end', () => socket.setTimeout(0));
}

/**
 * What is not even HTTP, or did not come in time: answered in our shape where the socket still takes it, and its
 * descriptor given back whether or not the peer goes along. Under TLS nothing can be said before the handshake.
 */
function refuse(error: Error & { code?: string }, socket: Socket, connections: Connections): void {
  if (error.code === 'ECONNRESET' || !socket.writable || !connections.talksHttp(socket)) {
    socket.destroy();
    return;
  }
  const [status, refusal] = refusalOf(error.code);
  const body = JSON.stringify(told(refusal).body);
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  // What the peer does not take within a moment it does not get.
  const late = setTimeout(() => socket.destroy(), LAST_WORDS_MS);
  socket.once('close', () => clearTimeout(late));
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroySoon());
}

function refusalOf(code: string | undefined): [status: string, error: ApiError] {
  if (code === 'HPE_HEADER_OVERFLOW')
    return [
      '431 Request Header Fields Too Large',
      new ApiError('too-large', 'the headers are too large: send fewer'),
    ];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return ['408 Request Timeout', new ApiError('bad-request', 'the request took too long to arrive')];
  return ['400 Bad Request', new ApiError('bad-request', 'this is no HTTP request')];
}

/** The API on its sockets: a unix socket, and TCP with TLS where that is configured. */
import { tmpdir } from 'node:os';
import type { TlsOptions } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../../api/index.ts';
import { ApiError } from '../error.ts';
import type { Operations } from '../operations.ts';
import type { RouteKey } from './access.ts';
import { type AppParts, createApp, type Transport } from './app.ts';
import { Audit } from './audit.ts';
import {
  type ApiCertificate,
  type ApiToken,
  byFilePermissions,
  byTokenOrCertificate,
} from './authenticate.ts';
import { type LimitOptions, limitsOf } from './limits.ts';
import { listenOnSocket, type SocketPlace } from './unix-socket.ts';

export interface TcpOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** PEM. There is no TCP without it. With `clientCa`, client certificates must be its as well. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  readonly tokens: readonly ApiToken[];
  readonly certificates: readonly ApiCertificate[];
}

export interface ApiOptions {
  readonly unix?: SocketPlace;
  readonly tcp?: TcpOptions;
  readonly limits?: LimitOptions;
  readonly logger: Logger;
  /** Where packs arrive; default: the system's place for temporary files. */
  readonly uploads?: string;
  readonly onAnswer?: (route: RouteKey | 'none', status: number, milliseconds: number) => void;
}

export interface Api {
  /** `unix:/run/lazaret/api.sock`, `https://127.0.0.1:8443`. */
  readonly addresses: readonly string[];
  /** Lets those who follow scans go, answers what was asked within a bound, and takes the socket away. */
  close(): Promise<void>;
}

/** Rejects with ApiError `bad-options` or `cannot-listen`, and then nothing is left open. */
export async function startApi(operations: Operations, options: ApiOptions): Promise<Api> {
  const closing = new AbortController();
  await using started = new AsyncDisposableStack();
  const parts = {
    operations,
    limits: limitsOf(options.limits),
    audit: new Audit(options.logger),
    uploads: options.uploads ?? tmpdir(),
    closing: closing.signal,
    onAnswer: options.onAnswer,
  };
  const addresses: string[] = [];
  if (options.unix) addresses.push(await serveUnix(parts, options.unix, started));
  if (options.tcp) addresses.push(await serveTcp(parts, options.tcp, started));
  const running = started.move();
  return {
    addresses,
    close: () => {
      closing.abort();
      return running.disposeAsync();
    },
  };
}

type CommonParts = Omit<AppParts, 'authenticate'>;

async function serveUnix(
  parts: CommonParts,
  place: SocketPlace,
  started: AsyncDisposableStack,
): Promise<string> {
  const app = await ready({ ...parts, authenticate: byFilePermissions }, {}, started);
  started.use(await listenOnSocket(app, place));
  return `unix:${place.path}`;
}

async function serveTcp(
  parts: CommonParts,
  { host, port, tls, tokens, certificates }: TcpOptions,
  started: AsyncDisposableStack,
): Promise<string> {
  if (!tls?.cert || !tls.key)
    throw new ApiError(
      'bad-options',
      'the API is served over TCP with TLS only: configure a certificate and its key',
    );
  if (tokens.length + certificates.length === 0)
    throw new ApiError(
      'bad-options',
      'nobody could use the API over TCP: configure a token or a client certificate',
    );
  const https: TlsOptions = {
    cert: tls.cert,
    key: tls.key,
    minVersion: 'TLSv1.3',
    requestCert: certificates.length > 0,
    // Who has no certificate may have a token, and who is refused gets an answer: `byTokenOrCertificate` decides.
    rejectUnauthorized: false,
    ...(tls.clientCa !== undefined && { ca: tls.clientCa }),
  };
  const authenticate = byTokenOrCertificate(tokens, certificates, {
    ofAuthority: tls.clientCa !== undefined,
  });
  const app = await ready({ ...parts, authenticate }, { https }, started);
  await app.listen({ host, port }).catch((cause: Error) => {
    throw new ApiError('cannot-listen', `the API cannot listen on ${host}:${port}: ${cause.message}`, {
      cause,
    });
  });
  const bound = app.server.address();
  const actual = typeof bound === 'object' && bound ? bound.port : port;
  return `https://${host.includes(':') ? `[${host}]` : host}:${actual}`;
}

async function ready(
  parts: AppParts,
  transport: Transport,
  started: AsyncDisposableStack,
): Promise<FastifyInstance> {
  const app = await createApp(parts, transport).catch((cause: Error) => {
    throw new ApiError('bad-options', `the API cannot be served as configured: ${cause.message}`, { cause });
  });
  started.defer(() => closeApp(app, parts.limits.timeouts.closing));
  await app.ready();
  return app;
}

/** What is under way is answered, unless it takes too long. */
async function closeApp(app: FastifyInstance, milliseconds: number): Promise<void> {
  const deadline = setTimeout(() => app.server.closeAllConnections(), milliseconds);
  try {
    await app.close();
  } finally {
    clearTimeout(deadline);
  }
}

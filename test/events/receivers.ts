/** Receivers of events on 127.0.0.1, for tests: what they got, and how they answer. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import type { Authority } from './authority.ts';

interface Listening extends AsyncDisposable {
  readonly port: number;
}

async function listen(server: Server, port = 0): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface SyslogReceiver extends Listening {
  /** Messages of connections that were read to their end. */
  readonly messages: string[];
}

export interface SyslogReceiverOptions {
  readonly authority?: Authority;
  readonly clientCertificate?: boolean;
  readonly port?: number;
  /** Takes connections over instead. */
  readonly handle?: (socket: Socket) => unknown;
}

export async function syslogReceiver(options: SyslogReceiverOptions = {}): Promise<SyslogReceiver> {
  const messages: string[] = [];
  const serve = (socket: Socket) => {
    socket.on('error', () => undefined);
    if (options.handle) return void options.handle(socket);
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('end', () => messages.push(...unframed(Buffer.concat(parts))));
  };
  const { authority, clientCertificate: requestCert = false } = options;
  const server = authority ? createTls({ ...tlsOf(authority), requestCert }, serve) : createTcp(serve);
  server.on('tlsClientError', () => undefined);
  return Object.assign(await listen(server, options.port), { messages });
}

/** Octet counting, RFC 6587: throws when what is there is not whole. */
export function unframed(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const length = Number(bytes.subarray(at, blank).toString('latin1'));
    if (!Number.isSafeInteger(length) || length < 1) throw new Error(`no length at ${at}`);
    at = blank + 1 + length;
    if (at > bytes.length) throw new Error('cut off');
    messages.push(bytes.subarray(blank + 1, at).toString('utf8'));
  }
  return messages;
}

export async function datagramReceiver(): Promise<Listening & { next(): Promise<string> }> {
  const socket = createSocket('udp4');
  const got: string[] = [];
  socket.on('message', (message) => got.push(message.toString('utf8')));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    next: async () => {
      while (got.length === 0) await once(socket, 'message');
      return got.shift() ?? '';
    },
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

export interface Request {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}
export type Respond = (request: Request, response: ServerResponse, index: number) => void;

export interface WebhookReceiver extends Listening {
  readonly url: string;
  readonly requests: Request[];
}

/** `respond` ends the response; by default it is 204. */
export async function webhookReceiver(
  authority: Authority,
  respond: Respond = (_, response) => response.writeHead(204).end(),
  {
    port,
    clientCertificate: requestCert = false,
  }: { readonly port?: number; readonly clientCertificate?: boolean } = {},
): Promise<WebhookReceiver> {
  const requests: Request[] = [];
  const server = createHttps(
    { ...tlsOf(authority), requestCert },
    async (incoming: IncomingMessage, response) => {
      incoming.on('error', () => undefined);
      const body = Buffer.concat(await incoming.toArray().catch(() => []));
      const request = { path: incoming.url ?? '', headers: incoming.headers, body };
      requests.push(request);
      respond(request, response, requests.length - 1);
    },
  );
  const listening = await listen(server, port);
  return Object.assign(listening, { requests, url: `https://127.0.0.1:${listening.port}/events` });
}

const tlsOf = ({ ca, server }: Authority) => ({
  ca: readFileSync(ca),
  cert: readFileSync(server.cert),
  key: readFileSync(server.key),
});

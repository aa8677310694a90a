/** Requests as any client would make them, without our own client. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Logger } from '../../api/index.ts';

export interface Request {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Undefined when it is none. */
  readonly json: unknown;
}

/** Where to, as the options of Node have it. */
export type Target =
  | { readonly socketPath: string }
  | { readonly port: number; readonly ca: string; readonly cert?: string; readonly key?: string };

export function ask(target: Target, { method = 'GET', path, headers, body }: Request): Promise<Answer> {
  const options = { host: '127.0.0.1', ...target, method, path, agent: false, headers: { ...headers } };
  return new Promise((resolve, reject) => {
    const outgoing = ('ca' in target ? tlsRequest : request)(options, (response) =>
      answerOf(response).then(resolve, reject),
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export const askJson = (target: Target, method: string, path: string, json: unknown, headers = {}) =>
  ask(target, {
    method,
    path,
    body: JSON.stringify(json),
    headers: { 'content-type': 'application/json', ...headers },
  });

async function answerOf(response: IncomingMessage): Promise<Answer> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sends bytes as they are; gives all that comes back until the other side closes. */
export function askRaw(socketPath: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(socketPath, () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

export interface Line {
  readonly level: 'debug' | 'info' | 'warn';
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A log that is kept. */
export function memoryLogger(): { readonly lines: Line[]; readonly logger: Logger } {
  const lines: Line[] = [];
  const log =
    (level: Line['level']) =>
    (message: string, facts: Readonly<Record<string, unknown>> = {}) =>
      lines.push({ level, message, facts });
  return { lines, logger: { debug: log('debug'), info: log('info'), warn: log('warn') } };
}

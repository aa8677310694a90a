/**
 * Events to an HTTPS receiver: a POST for each batch, NDJSON (one JSON text a line) or one JSON array.
 *
 *   2xx                                the receiver has them
 *   408, 425, 429, 5xx, no answer      it cannot take them now: again, after Retry-After where it says so (RFC 9110)
 *   3xx, 401, 403, 404, 405, 407, 410  it does not admit us, or is not there: nothing is wrong with the events, again
 *   other 4xx                          it refuses these events
 *
 * No redirect is followed: events and tokens go to the configured place alone. Secrets and certificates are read for
 * every request, so that they can be renewed while the service runs.
 */
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { displayText } from '../../../protocol/index.ts';
import { DeliveryError, SecretError } from '../../error.ts';
import { Secret, type SecretFile } from '../../secret.ts';
import { version } from '../../version.ts';
import type { BatchLimit, EventOutlet, StoredEvent } from '../outbox/outlet.ts';
import { readTlsFiles, type TlsFiles } from './tls-files.ts';
import { requestId, signatureHeaders } from './webhook-signature.ts';

export interface WebhookOptions extends TlsFiles {
  /** `https://…`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: SecretFile;
  /** Requests are signed with it. */
  readonly secret?: SecretFile;
  readonly format?: 'ndjson' | 'json';
  readonly gzip?: boolean;
  /** For one request with its answer, in milliseconds. */
  readonly timeout?: number;
  readonly batch?: BatchLimit;
}

const BATCH: BatchLimit = { events: 500, bytes: 2 ** 20 };
const TIMEOUT_MS = 30_000;
/** Of an answer, as much is read; its beginning is for people. */
const MOST_ANSWER_BYTES = 65_536;
const SHOWN_CHARACTERS = 200;

const LATER = new Set([408, 425, 429]);
const NOT_ADMITTED = new Set([401, 403, 404, 405, 407, 410]);

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** Throws DeliveryError `bad-options` for a URL that is not https, or has a password in it. */
export function webhookOutlet(options: WebhookOptions, clock: () => number = Date.now): EventOutlet {
  const url = parse(options.url);
  return {
    name: 'webhook',
    batch: options.batch ?? BATCH,
    deliver: async (batch, signal) => {
      const ends = AbortSignal.any([signal, AbortSignal.timeout(options.timeout ?? TIMEOUT_MS)]);
      const body = await bodyOf(batch, options);
      const headers = { ...(await headersOf(batch, body, options, clock)), 'content-length': body.length };
      const tls = await readTlsFiles(options);
      // A connection for each: a kept one that the receiver closes meanwhile would cost the next request.
      const answer = await post(url, { agent: false, ...tls, headers, signal: ends }, body);
      judge(answer, url, clock());
    },
  };
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new DeliveryError(
      'bad-options',
      'the url of the webhook must be https://…, without user and password in it',
    );
  }
  return url;
}

async function bodyOf(
  batch: readonly StoredEvent[],
  { format, gzip: packed }: WebhookOptions,
): Promise<Buffer> {
  const events = batch.map(({ json }) => json);
  const text = format === 'json' ? `[${events.join(',')}]` : `${events.join('\n')}\n`;
  const body = Buffer.from(text);
  return packed ? promisify(gzip)(body) : body;
}

async function headersOf(
  batch: readonly StoredEvent[],
  body: Buffer,
  options: WebhookOptions,
  clock: () => number,
): Promise<Record<string, string>> {
  const id = requestId(batch.map(({ uid }) => uid));
  const token = options.token && (await secretOf(options.token));
  const secret = options.secret && (await secretOf(options.secret));
  return {
    'content-type': options.format === 'json' ? 'application/json' : 'application/x-ndjson',
    ...(options.gzip && { 'content-encoding': 'gzip' }),
    'user-agent': `lazaret/${version}`,
    'webhook-id': id,
    ...(token && { authorization: `Bearer ${token.reveal()}` }),
    ...(secret && signatureHeaders(id, Math.floor(clock() / 1000), body, secret)),
  };
}

async function secretOf(file: SecretFile): Promise<Secret> {
  try {
    return await Secret.read(file);
  } catch (cause) {
    if (cause instanceof SecretError) throw new DeliveryError('bad-options', cause.message, { cause });
    throw cause;
  }
}

function post(url: URL, options: Parameters<typeof request>[1], body: Buffer): Promise<Answer> {
  const outgoing = Promise.withResolvers<Answer>();
  const fail = (cause: Error) => outgoing.reject(unreachable(url, cause));
  try {
    const sent = request(url, { ...options, method: 'POST' });
    sent.on('error', fail);
    sent.on('response', (answer) => readAnswer(answer).then(outgoing.resolve, fail));
    sent.end(body);
  } catch (cause) {
    // A token that cannot stand in a header, a certificate that is none: its message may show the value.
    const error = new DeliveryError(
      'bad-options',
      'the token or a certificate of the webhook cannot be used',
      { cause },
    );
    outgoing.reject(error);
  }
  return outgoing.promise;
}

async function readAnswer(answer: IncomingMessage): Promise<Answer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    parts.push(part);
    // The rest is of no use to anyone; the connection goes with it.
    if (bytes > MOST_ANSWER_BYTES) break;
  }
  const untrustedText = Buffer.concat(parts).toString('utf8').slice(0, SHOWN_CHARACTERS).trim();
  return {
    status: answer.statusCode ?? 0,
    retryAfter: answer.headers['retry-after'],
    text: displayText(untrustedText),
  };
}

function judge({ status, retryAfter, text }: Answer, url: URL, now: number): void {
  if (status >= 200 && status < 300) return;
  const said = `the webhook at ${url.host} answered ${status}${text && `: ${text}`}`;
  if (LATER.has(status) || status >= 500) {
    throw new DeliveryError('busy', said, { retryAfter: waitOf(retryAfter, now) });
  }
  if (NOT_ADMITTED.has(status) || status < 400) {
    const advice =
      status < 400 ? 'no redirect is followed: configure the place itself' : 'check its url and token';
    throw new DeliveryError('not-admitted', `${said}; ${advice}`);
  }
  throw new DeliveryError('refused', said);
}

/** Retry-After: seconds or a date. What is neither asks for nothing. */
function waitOf(retryAfter: string | undefined, now: number): number {
  if (retryAfter === undefined) return 0;
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter) * 1000;
  const at = Date.parse(retryAfter);
  return Number.isNaN(at) ? 0 : Math.max(0, at - now);
}

function unreachable({ host }: URL, cause: Error): DeliveryError {
  const late =
    cause.name === 'TimeoutError' || (cause.cause instanceof Error && cause.cause.name === 'TimeoutError');
  const said = late ? 'it did not answer in time' : cause.message;
  return new DeliveryError('unreachable', `the webhook at ${host}: ${said}`, { cause });
}

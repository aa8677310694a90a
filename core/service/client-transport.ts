/** HTTP over the daemon's unix socket, one connection a request, and errors as they were thrown over there. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import type { z } from 'zod';
import { ErrorAnswer } from './api/errors.ts';
import { ApiError, DaemonError } from './error.ts';

/** The daemon has many who wait to be let in; Linux says so at once instead of waiting (`EAGAIN` of connect(2)). */
const FULL = 'EAGAIN';
const TRIES = 40;
const PAUSE_MILLISECONDS = 50;

/** No answer is longer; a page of findings has some megabytes at the very most. */
const LONGEST_ANSWER = 64 * 1024 * 1024;

export interface Asked {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With its parameters put in, and its query. */
  readonly path: string;
  readonly json?: unknown;
  /** Instead of `json`, sent as it comes. */
  readonly bytes?: Readable;
  readonly signal?: AbortSignal;
  /** Statuses besides 2xx with which the answer comes as well. */
  readonly expected?: readonly number[];
}

export class Transport {
  private readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** The answer, read with `schema`. Rejects with DaemonError, or ApiError `no-answer`. */
  async ask<Answer>(asked: Asked, schema: z.ZodType<Answer>): Promise<Answer> {
    return read(await this.text(asked), schema);
  }

  /** The answer as text. */
  async text(asked: Asked): Promise<string> {
    return textOf(await this.open(asked));
  }

  /** The answer's head is there and says that all is well; its body is the caller's. */
  async open(asked: Asked): Promise<IncomingMessage> {
    const response = await this.sendWhenLetIn(asked);
    const { statusCode = 0 } = response;
    if ((statusCode >= 200 && statusCode < 300) || asked.expected?.includes(statusCode)) return response;
    const answer = ErrorAnswer.safeParse(parsed(await textOf(response)));
    if (!answer.success) throw noAnswer(`status ${statusCode} without a reason`);
    const { code, message, next } = answer.data.error;
    throw new DaemonError(code, next === undefined ? message : `${message}: ${next}`);
  }

  private async sendWhenLetIn(asked: Asked): Promise<IncomingMessage> {
    for (let left = TRIES; ; left--) {
      try {
        return await this.send(asked);
      } catch (error) {
        // A stream is gone once it was tried; nothing else was sent.
        if (left === 0 || asked.bytes || causeCode(error) !== FULL) throw error;
        await setTimeout(PAUSE_MILLISECONDS, undefined, { signal: asked.signal });
      }
    }
  }

  /** Rejects with what Node says when nobody is there (`ENOENT`, `ECONNREFUSED`, `EACCES`), as `cause` of `no-answer`. */
  private send({ method, path, json, bytes, signal }: Asked): Promise<IncomingMessage> {
    const text = json === undefined ? undefined : JSON.stringify(json);
    const options: RequestOptions = {
      socketPath: this.socketPath,
      method,
      path,
      headers: { host: 'lazaret', ...headersOf(text, bytes) },
      agent: false,
      ...(signal && { signal }),
    };
    return new Promise((resolve, reject) => {
      const request = httpRequest(options, resolve);
      request.on('error', (cause) => reject(noAnswer(cause.message, cause)));
      // One that refuses a body may answer before it has read it: that answer counts, not that we could not send on.
      if (bytes) pipeline(bytes, request).catch(() => undefined);
      else request.end(text);
    });
  }
}

function headersOf(text: string | undefined, bytes: Readable | undefined): Record<string, string> {
  if (bytes) return { 'content-type': 'application/octet-stream' };
  return text === undefined
    ? {}
    : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > LONGEST_ANSWER) throw new Error('it does not end');
      chunks.push(chunk);
    }
  } catch (cause) {
    throw noAnswer((cause as Error).message, cause);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function read<Answer>(text: string, schema: z.ZodType<Answer>): Answer {
  const answer = schema.safeParse(text === '' ? undefined : parsed(text));
  if (answer.success) return answer.data;
  throw noAnswer('it is not what this release knows; is the daemon of another one?', answer.error);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON fits no schema, which is where it is told.
    return undefined;
  }
}

/** The code that Node gave, as in `ECONNREFUSED`. */
export const causeCode = (error: unknown): unknown =>
  (error as { cause?: { code?: unknown } } | undefined)?.cause?.code;

export const noAnswer = (why: string, cause?: unknown): ApiError =>
  new ApiError(
    'no-answer',
    `the daemon gave no answer that can be used: ${why}; see its log`,
    cause === undefined ? {} : { cause },
  );

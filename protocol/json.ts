/**
 * JSON from the other side: bounded in size and depth before it is parsed, then given a schema. Also NDJSON,
 * one message a line.
 */
import type { z } from 'zod';
import { ProtocolError } from './error.ts';
import { LIMITS } from './limits.ts';
import { displayText } from './path.ts';

const NEWLINE = 0x0a;
/** Parts of a line that are held singly; a byte at a time would cost a hundred times its size. */
const HELD_PARTS = 256;
const EXPLANATION_CHARACTERS = 200;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses one untrusted message; throws `message-too-large` or `malformed-message`. */
export const parseMessage = <S extends z.ZodType>(schema: S, untrusted: Uint8Array): z.output<S> =>
  checkMessage(schema, parseBounded(untrusted));

/** The JSON of one untrusted message, whatever it says; throws as `parseMessage`. */
export function parseBounded(untrusted: Uint8Array): unknown {
  if (untrusted.length > LIMITS.messageBytes) {
    throw new ProtocolError(
      'message-too-large',
      `a message has ${untrusted.length} bytes, more than allowed`,
    );
  }
  checkDepth(untrusted);
  return parseJson(untrusted);
}

/** What a parsed message says; throws `malformed-message`. */
export function checkMessage<S extends z.ZodType>(schema: S, untrusted: unknown): z.output<S> {
  const result = schema.safeParse(untrusted);
  if (result.success) return result.data;
  throw new ProtocolError('malformed-message', `a message does not fit its schema: ${explain(result.error)}`);
}

/** What is wrong first. Keys in it are the other side's words. */
export function explain({ issues: [issue] }: z.ZodError): string {
  const untrusted = `at "${issue?.path.join('.') ?? ''}": ${issue?.message ?? ''}`;
  return displayText(untrusted.slice(0, EXPLANATION_CHARACTERS));
}

export const encodeLine = (message: unknown): Buffer => Buffer.from(`${JSON.stringify(message)}\n`, 'utf8');

function parseJson(untrusted: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(untrusted));
  } catch (cause) {
    throw new ProtocolError('malformed-message', 'a message is not JSON in UTF-8', { cause });
  }
}

/** Nesting is counted outside strings, on the bytes, so that a deep message costs no stack. */
function checkDepth(untrusted: Uint8Array): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < untrusted.length; at++) {
    const byte = untrusted[at];
    if (inString) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > LIMITS.messageDepth)
        throw new ProtocolError('malformed-message', 'a message nests too deep');
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
}

/** Splits a byte stream into lines; a line over the message limit is refused before it is complete. */
export class LineSplitter {
  private parts: Buffer[] = [];
  private length = 0;

  /** The lines that `chunk` completes, without their newline. */
  *push(chunk: Buffer): Generator<Buffer> {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.add(chunk.subarray(from, at));
      yield this.parts.length === 1 ? (this.parts[0] as Buffer) : Buffer.concat(this.parts);
      this.parts = [];
      this.length = 0;
      from = at + 1;
    }
    if (from < chunk.length) this.add(chunk.subarray(from));
  }

  /** Call at the end of the stream: throws `malformed-message` when a line is unfinished. */
  end(): void {
    if (this.length > 0) throw new ProtocolError('malformed-message', 'the stream ends within a line');
  }

  private add(part: Buffer): void {
    this.parts.push(part);
    this.length += part.length;
    if (this.parts.length > HELD_PARTS) this.parts = [Buffer.concat(this.parts)];
    if (this.length > LIMITS.messageBytes) {
      throw new ProtocolError('message-too-large', `a line has more than ${LIMITS.messageBytes} bytes`);
    }
  }
}

/**
 * Paths in a guest are bytes: Linux forbids only NUL and gives `/` its meaning. On the wire a path is a JSON
 * string when it is valid UTF-8, else `{"b64": "<base64 of the bytes>"}`. Nothing is refused for looking
 * hostile (newline, ESC, bidi marks): refusing would be a way to hide. What is refused cannot name a file:
 * empty, NUL inside, over 4,096 bytes, a `.` or `..` component, not absolute.
 *
 * A path is shown only through `display()`, which escapes all that could act on a terminal, a log or a page.
 */
import { ProtocolError } from './error.ts';
import { LIMITS } from './limits.ts';

/** A byte string as it stands in JSON. */
export type WireBytes = string | { b64: string };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function encodeBytes(bytes: Uint8Array): WireBytes {
  try {
    return utf8.decode(bytes);
  } catch {
    return { b64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') };
  }
}

/** The bytes of a wire string. A lone surrogate has no bytes of its own and is refused. */
export function decodeBytes(wire: WireBytes): Buffer {
  if (typeof wire === 'string') {
    if (!wire.isWellFormed()) throw new ProtocolError('malformed-path', 'a lone surrogate is no text');
    return Buffer.from(wire, 'utf8');
  }
  return Buffer.from(wire.b64, 'base64');
}

/** How many bytes a wire string stands for. */
export const lengthOf = (wire: WireBytes): number =>
  typeof wire === 'string' ? Buffer.byteLength(wire, 'utf8') : Buffer.byteLength(wire.b64, 'base64');

export class GuestPath {
  readonly bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Checks an untrusted byte string; throws `malformed-path`. */
  static of(untrusted: WireBytes | Uint8Array): GuestPath {
    const bytes = untrusted instanceof Uint8Array ? Buffer.from(untrusted) : decodeBytes(untrusted);
    const fault = faultOf(bytes);
    if (fault) throw new ProtocolError('malformed-path', `a guest path ${fault}`);
    return new GuestPath(bytes);
  }

  /** The path of an entry in this directory; throws `malformed-path` when the name is no single component. */
  child(untrustedName: WireBytes): GuestPath {
    const name = decodeBytes(untrustedName);
    if (name.length === 0) throw new ProtocolError('malformed-path', 'a file name is empty');
    if (name.includes(0x2f)) throw new ProtocolError('malformed-path', 'a file name contains a slash');
    const separator = this.bytes.at(-1) === 0x2f ? '' : '/';
    return GuestPath.of(Buffer.concat([this.bytes, Buffer.from(separator), name]));
  }

  get wire(): WireBytes {
    return encodeBytes(this.bytes);
  }

  get name(): Buffer {
    return this.bytes.subarray(this.bytes.lastIndexOf(0x2f) + 1);
  }

  equals(other: GuestPath): boolean {
    return this.bytes.equals(other.bytes);
  }

  display(): string {
    return displayBytes(this.bytes);
  }
}

function faultOf(bytes: Buffer): string | undefined {
  if (bytes.length === 0) return 'is empty';
  if (bytes.length > LIMITS.pathBytes) return `is longer than ${LIMITS.pathBytes} bytes`;
  if (bytes.includes(0)) return 'contains NUL';
  if (bytes[0] !== 0x2f) return 'is not absolute';
  const components = bytes.toString('latin1').split('/');
  if (components.includes('..') || components.includes('.')) return 'contains a "." or ".." component';
  return undefined;
}

/**
 * Characters that may stand as themselves when shown: letters, marks, numbers, punctuation, symbols and the
 * plain space. Not: controls, format characters (bidi marks, zero width), line and paragraph separators,
 * unassigned and private use.
 */
const SHOWN = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/**
 * Untrusted bytes as one line of harmless text. Reversible: `\\` is a backslash, `\xNN` one byte; every other
 * character stands for its UTF-8 bytes.
 */
export function displayBytes(bytes: Uint8Array): string {
  if (isPlainAscii(bytes))
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  let shown = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const character = length > 0 ? decodeOne(bytes.subarray(at, at + length)) : undefined;
    if (character === undefined) {
      shown += escapeByte(bytes[at] ?? 0);
      at += 1;
      continue;
    }
    if (character === '\\') shown += '\\\\';
    else if (SHOWN.test(character)) shown += character;
    else for (const byte of bytes.subarray(at, at + length)) shown += escapeByte(byte);
    at += length;
  }
  return shown;
}

/** The same for text that is already a string; lone surrogates become U+FFFD first. */
export function displayText(untrusted: string): string {
  return displayBytes(Buffer.from(untrusted.toWellFormed(), 'utf8'));
}

/** The same for a byte string of the wire, whatever it names. */
export const displayWire = (untrusted: WireBytes): string =>
  typeof untrusted === 'string' ? displayText(untrusted) : displayBytes(Buffer.from(untrusted.b64, 'base64'));

/** The bytes that `displayBytes` showed. */
export function parseDisplayed(shown: string): Buffer {
  const parts: Buffer[] = [];
  for (const [, hex, backslash, plain] of shown.matchAll(/\\x([0-9a-f]{2})|(\\\\)|([^\\]+)/gs)) {
    if (hex !== undefined) parts.push(Buffer.from(hex, 'hex'));
    else parts.push(backslash ? Buffer.from('\\') : Buffer.from(plain ?? '', 'utf8'));
  }
  return Buffer.concat(parts);
}

function isPlainAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte < 0x20 || byte > 0x7e || byte === 0x5c) return false;
  return true;
}

function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

function decodeOne(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

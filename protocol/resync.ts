/**
 * Resync: how the two sides find each other on a byte stream that may hold leftovers.
 *
 * A virtio-serial port is a ring that survives its users: after a host or an agent dies, bytes of the earlier
 * connection may still be in it. So every session begins like this:
 *
 *   host → agent   MAGIC(16) NONCE(16)      repeated every 100 ms until the echo comes
 *   agent → host   ECHO(16)  NONCE(16)      the same nonce
 *   host → agent   TLS ClientHello …
 *
 * The host discards everything before the echo of its own nonce. The agent looks for MAGIC in all that it
 * ever receives, and on seeing it drops the session it had. MAGIC is 128 random bits and the rest of
 * the stream is TLS ciphertext, so it does not occur by chance; whoever can put it on the stream on purpose
 * is the host itself, which may end the session anyway.
 *
 * The host may have repeated its preamble before the first echo arrived, so echoes of the same nonce can
 * still be on the way when TLS begins. A host drops those that stand before the first byte of TLS; or, if its
 * TLS reads the socket by itself, it then sends one preamble with a fresh nonce, once, and begins TLS behind
 * that echo.
 */
import { ProtocolError } from './error.ts';
import { LIMITS } from './limits.ts';

export const MAGIC = Buffer.from('f1a3d20c5b8e4f67917cc0de1a2a9e70', 'hex');
export const ECHO = Buffer.from('0e5c2df3a47198b86e833f21e5d5618f', 'hex');
export const NONCE_BYTES = 16;
export const PREAMBLE_BYTES = MAGIC.length + NONCE_BYTES;

const EMPTY = Buffer.alloc(0);

export const preamble = (nonce: Uint8Array): Buffer => Buffer.concat([MAGIC, nonce]);
export const echo = (nonce: Uint8Array): Buffer => Buffer.concat([ECHO, nonce]);

export type Resynced =
  /** A preamble: whatever session there was is over; answer with the echo of this nonce. */
  | { readonly kind: 'preamble'; readonly nonce: Buffer }
  /** Bytes of the session that the last preamble began (or, before the first one, leftovers to drop). */
  | { readonly kind: 'bytes'; readonly bytes: Buffer };

/**
 * The agent's side: splits the incoming stream at preambles. Bytes of a session are passed on at once, also when
 * they look like the beginning of MAGIC: one TLS record in 256 ends so, and who held those bytes back would wait
 * for a host that waits for him. Should a preamble follow indeed, it ends the session that got them too much.
 */
export class PreambleScanner {
  /** The end of what came that may begin a preamble, and how much of it was passed on. */
  private held: Buffer = EMPTY;
  private passed = 0;

  *push(chunk: Buffer): Generator<Resynced> {
    let rest = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : chunk;
    let passed = this.passed;
    for (let at = rest.indexOf(MAGIC); at >= 0; at = rest.indexOf(MAGIC)) {
      if (at > passed) yield { kind: 'bytes', bytes: rest.subarray(passed, at) };
      const end = at + PREAMBLE_BYTES;
      if (end > rest.length) return this.hold(rest.subarray(at), Math.max(passed - at, 0));
      yield { kind: 'preamble', nonce: rest.subarray(at + MAGIC.length, end) };
      rest = rest.subarray(end);
      passed = Math.max(passed - end, 0);
    }
    if (rest.length > passed) yield { kind: 'bytes', bytes: rest.subarray(passed) };
    const partial = partialLength(rest, MAGIC);
    this.hold(rest.subarray(rest.length - partial), partial);
  }

  private hold(bytes: Buffer, passed: number): void {
    this.held = bytes;
    this.passed = passed;
  }
}

/** The host's side: discards all that comes before the echo of its nonce, and echoes that follow it directly. */
export class EchoFinder {
  private readonly wanted: Buffer;
  private held: Buffer = EMPTY;
  private discarded = 0;
  private state: 'seeking' | 'stripping' | 'through' = 'seeking';

  constructor(nonce: Uint8Array) {
    this.wanted = echo(nonce);
  }

  get found(): boolean {
    return this.state !== 'seeking';
  }

  /** The bytes of `chunk` that belong to the new session; throws `resync-overflow`. */
  push(chunk: Buffer): Buffer {
    if (this.state === 'through') return chunk;
    let rest = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : chunk;
    this.held = EMPTY;
    if (this.state === 'seeking') {
      const at = rest.indexOf(this.wanted);
      if (at < 0) {
        this.held = rest.subarray(rest.length - partialLength(rest, this.wanted));
        this.countDiscarded(rest.length - this.held.length);
        return EMPTY;
      }
      rest = rest.subarray(at + this.wanted.length);
      this.state = 'stripping';
    }
    while (rest.subarray(0, this.wanted.length).equals(this.wanted)) rest = rest.subarray(this.wanted.length);
    if (rest.length < this.wanted.length && this.wanted.subarray(0, rest.length).equals(rest)) {
      this.held = rest;
      return EMPTY;
    }
    this.state = 'through';
    return rest;
  }

  private countDiscarded(bytes: number): void {
    this.discarded += bytes;
    if (this.discarded > LIMITS.resyncDiscardBytes) {
      throw new ProtocolError(
        'resync-overflow',
        `${this.discarded} bytes came without the echo that begins a session: this is not the Lazaret agent`,
      );
    }
  }
}

/** How many bytes at the end of `bytes` could be the beginning of `pattern`. */
function partialLength(bytes: Buffer, pattern: Buffer): number {
  for (let length = Math.min(pattern.length - 1, bytes.length); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(pattern.subarray(0, length))) return length;
  }
  return 0;
}

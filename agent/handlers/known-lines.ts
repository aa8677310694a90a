/**
 * The digests of lines that the host holds for known: the bytes that came, and beside them a table of places
 * with open addressing. A set of strings would cost five times as much, and there may be 200,000.
 */
import { hash } from 'node:crypto';
import { encodeLine, LIMITS, LINE_DIGEST_BYTES, ProtocolError } from '../../protocol/index.ts';

const EMPTY = -1;
/** How `Walk` begins the lines that are known or not. */
const DIRECTORY = '{"type":"directory"';
const END = '{"type":"end"';

export class KnownLines {
  private readonly digests: Buffer;
  private readonly places: Int32Array;

  /** `digests` one behind the other. Throws ProtocolError `malformed-message`. */
  constructor(digests: Buffer) {
    if (digests.length % LINE_DIGEST_BYTES !== 0) {
      throw new ProtocolError('malformed-message', 'the known lines end within a digest');
    }
    this.digests = digests;
    const count = digests.length / LINE_DIGEST_BYTES;
    this.places = new Int32Array(2 ** Math.ceil(Math.log2(2 * count + 1))).fill(EMPTY);
    for (let place = 0; place < count; place++) {
      this.places[this.find(digests, place * LINE_DIGEST_BYTES)] = place;
    }
  }

  get isEmpty(): boolean {
    return this.digests.length === 0;
  }

  has(digest: Buffer): boolean {
    return this.places[this.find(digest, 0)] !== EMPTY;
  }

  /** Where the digest at `at` in `bytes` stands in the table, or would stand. */
  private find(bytes: Buffer, at: number): number {
    const mask = this.places.length - 1;
    for (let slot = bytes.readUInt32LE(at) & mask; ; slot = (slot + 1) & mask) {
      const place = this.places[slot] as number;
      if (place === EMPTY) return slot;
      const start = place * LINE_DIGEST_BYTES;
      const end = start + LINE_DIGEST_BYTES;
      if (this.digests.compare(bytes, at, at + LINE_DIGEST_BYTES, start, end) === 0) return slot;
    }
  }
}

/** Puts digests in the place of lines that are known. */
export class LineFilter {
  private readonly known: KnownLines;
  private digests: string[] = [];

  constructor(known: KnownLines) {
    this.known = known;
  }

  /** What is sent in place of a line (with its newline): itself, digests that have gathered, or nothing yet. */
  pass(line: string): string {
    if (this.known.isEmpty) return line;
    if (line.startsWith(END)) return this.rest() + line;
    if (!line.startsWith(DIRECTORY)) return line;
    const digest = hash('sha256', line.slice(0, -1), 'buffer').subarray(0, LINE_DIGEST_BYTES);
    if (!this.known.has(digest)) return line;
    this.digests.push(digest.toString('hex'));
    return this.digests.length === LIMITS.inventoryLineDigests ? this.rest() : '';
  }

  /** The line for the digests that have gathered, if any. */
  rest(): string {
    if (this.digests.length === 0) return '';
    const line = encodeLine({ type: 'known', digests: this.digests }).toString();
    this.digests = [];
    return line;
  }
}

import {
  ALLOWANCE,
  decodeBytes,
  GuestPath,
  type InventoryLine,
  type InventoryRequest,
  LIMITS,
  ProtocolError,
  type WireBytes,
} from '../../protocol/index.ts';
import type { KnownLines } from './session.ts';

/** Bytes of one file name (NAME_MAX). */
const NAME_BYTES = 255;

/** An honest page has so many bytes, or there was nothing to tell for some seconds. */
const FULL_PAGE_BYTES = LIMITS.inventoryPageBytes;
const EMPTY_PAGE_SECONDS = 5;

/** Holds an inventory to its budget, so that a guest cannot list for ever, and checks every path in it. */
export class InventoryCheck {
  private files = 0;
  private lines = 0;
  private thinPages = 0;
  private readonly maxEntries: number;
  private readonly maxThinPages: number;
  private readonly known: KnownLines;

  constructor({ maxEntries, maxSeconds }: InventoryRequest, known: KnownLines) {
    this.maxEntries = maxEntries;
    this.maxThinPages = ALLOWANCE.thinPages + maxSeconds / EMPTY_PAGE_SECONDS;
    this.known = known;
  }

  /** Throws ProtocolError. */
  line(line: InventoryLine): void {
    if (line.type === 'end' || line.type === 'more') return;
    this.lines++;
    if (line.type === 'directory') {
      GuestPath.of(line.path);
      for (const [name] of line.files) checkName(name);
      for (const [name, target] of line.links ?? []) checkLink(name, target);
      this.files += line.files.length + (line.links?.length ?? 0);
    } else if (line.type === 'known') this.checkKnown(line.digests);
    if (this.files > this.maxEntries || this.lines > this.maxEntries + ALLOWANCE.inventoryLines) {
      throw new ProtocolError('message-too-large', `a listing goes past its ${this.maxEntries} entries`);
    }
  }

  /** A page of so many bytes has ended, and it was not the last. Throws ProtocolError. */
  page(bytes: number): void {
    if (bytes < FULL_PAGE_BYTES) this.thinPages++;
    if (this.thinPages <= this.maxThinPages) return;
    throw new ProtocolError('message-too-large', 'a listing comes in too many pages with next to nothing');
  }

  /** A line has a file at least. */
  private checkKnown(digests: readonly string[]): void {
    this.files += digests.length;
    const stranger = digests.find((digest) => !this.known.has(digest));
    if (stranger === undefined) return;
    throw new ProtocolError('malformed-message', 'a listing refers to a line that nobody spoke of');
  }
}

function checkLink(name: WireBytes, target: WireBytes): void {
  checkName(name);
  const { length } = decodeBytes(target);
  if (length === 0 || length > LIMITS.pathBytes) {
    throw new ProtocolError('malformed-path', 'what a link in a listing says cannot be a path');
  }
}

function checkName(name: WireBytes): void {
  const fits =
    typeof name === 'string' ? isName(name) : isName(Buffer.from(name.b64, 'base64').toString('latin1'));
  if (!fits) throw new ProtocolError('malformed-path', 'a file name in a listing cannot be one');
}

function isName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    name.length <= NAME_BYTES &&
    !name.includes('/') &&
    !name.includes('\0') &&
    name.isWellFormed()
  );
}

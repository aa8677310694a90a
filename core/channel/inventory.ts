import {
  ALLOWANCE,
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
  /** Those that may be told to lead elsewhere, each once. */
  private readonly roots: Set<string>;

  constructor({ roots, followRoots, maxEntries, maxSeconds }: InventoryRequest, known: KnownLines) {
    this.roots = new Set(followRoots ? roots.map(keyOf) : []);
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
      this.files += line.files.length;
    } else if (line.type === 'known') this.checkKnown(line.digests);
    else if (line.type === 'root') this.checkRoot(line);
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

  private checkRoot({ path, target }: Extract<InventoryLine, { type: 'root' }>): void {
    GuestPath.of(target);
    if (this.roots.delete(keyOf(path))) return;
    throw new ProtocolError('malformed-message', 'a listing tells of a root that was not asked for');
  }

  /** A line has a file at least. */
  private checkKnown(digests: readonly string[]): void {
    this.files += digests.length;
    const stranger = digests.find((digest) => !this.known.has(digest));
    if (stranger === undefined) return;
    throw new ProtocolError('malformed-message', 'a listing refers to a line that nobody spoke of');
  }
}

/** Slashes at its end are no part of what a root is called. */
function keyOf(root: WireBytes): string {
  const path = GuestPath.of(root).bytes.toString('latin1');
  return path.replace(/(?<=.)\/+$/, '');
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

import {
  ALLOWANCE,
  GuestPath,
  type InventoryLine,
  type InventoryRequest,
  LIMITS,
  ProtocolError,
  type WireBytes,
} from '../../protocol/index.ts';
import { faultOf, faultOfMany, type ReadLine } from './inventory-line.ts';
import type { KnownLines, ListedLine } from './session.ts';

/** An honest page has so many bytes, or there was nothing to tell for some seconds. */
const FULL_PAGE_BYTES = LIMITS.inventoryPageBytes;
const EMPTY_PAGE_SECONDS = 5;

type FaultLine = Extract<ListedLine, { type: 'fault' }>;

/** Holds an inventory to its budget, so that a guest cannot list for ever. */
export class InventoryCheck {
  private files = 0;
  private lines = 0;
  private thinPages = 0;
  private misfits = 0;
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
  line({ line, misfits }: ReadLine): void {
    if (line.type === 'end' || line.type === 'more') return;
    this.lines++;
    if (line.type === 'directory') {
      this.files += line.files.length + (line.links?.length ?? 0) + misfits.length;
    } else if (line.type === 'known') this.checkKnown(line.digests);
    else if (line.type === 'root') this.checkRoot(line);
    if (this.files > this.maxEntries || this.lines > this.maxEntries + ALLOWANCE.inventoryLines) {
      throw new ProtocolError('message-too-large', `a listing goes past its ${this.maxEntries} entries`);
    }
  }

  /** The faults that stand for entries that cannot be: one for each, or for all of a line when there are very many. */
  faultsOf({ line, misfits }: ReadLine): FaultLine[] {
    if (line.type !== 'directory' || misfits.length === 0) return [];
    this.misfits += misfits.length;
    if (this.misfits > ALLOWANCE.namedMisfits) return [faultOfMany(line.path, misfits.length)];
    return misfits.map((misfit) => faultOf(line.path, misfit));
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

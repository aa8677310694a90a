/**
 * One line of a listing. What one entry says costs that entry and no other: a guest's users decide the names, sizes
 * and times of files, and its file systems what numbers they have. So an entry that does not fit becomes a fault of
 * its path, made here; a line that is none ends the session.
 */
import { z } from 'zod';
import {
  checkMessage,
  DirectoryAccess,
  decodeBytes,
  explain,
  FileEntry,
  GuestPath,
  InventoryLine,
  LIMITS,
  LinkEntry,
  ProtocolError,
  parseBounded,
  type WireBytes,
  wireBytes,
} from '../../protocol/index.ts';

type DirectoryLine = Extract<InventoryLine, { type: 'directory' }>;

/** An entry that cannot be: its path, or its directory's where it has no name either; and what is wrong with it. */
export interface Misfit {
  readonly path: WireBytes;
  readonly detail: string;
}

export interface ReadLine {
  readonly line: InventoryLine;
  readonly misfits: readonly Misfit[];
}

/** A line of files whose entries are looked at one by one. */
const LooseDirectory = z.object({
  type: z.literal('directory'),
  path: wireBytes,
  dev: z.unknown(),
  files: z.array(z.unknown()).max(LIMITS.inventoryLineEntries),
  access: DirectoryAccess.optional(),
  links: z.array(z.unknown()).max(LIMITS.inventoryLineEntries).optional(),
});
const EntryName = z.tuple([wireBytes], z.unknown());
const NONE: readonly Misfit[] = [];
const DETAIL = 256;

/** Throws ProtocolError. */
export function readInventoryLine(untrusted: Uint8Array): ReadLine {
  const parsed = parseBounded(untrusted);
  const fits = InventoryLine.safeParse(parsed);
  if (fits.success) {
    const line = fits.data;
    if (line.type !== 'directory') return { line, misfits: NONE };
    const directory = GuestPath.of(line.path);
    const { files, links = [] } = line;
    const fit =
      files.every(([name]) => isNameIn(directory, name)) && links.every((link) => isLink(directory, link));
    if (fit) return { line, misfits: NONE };
  }
  const loose = LooseDirectory.safeParse(parsed);
  // What is no such line either is told as what it should have been.
  if (!loose.success) return { line: checkMessage(InventoryLine, parsed), misfits: NONE };
  return readEntries(loose.data);
}

function readEntries(untrusted: z.output<typeof LooseDirectory>): ReadLine {
  const { type, path, dev, access } = untrusted;
  const directory = GuestPath.of(path);
  const device = InventoryLine.options[0].shape.dev.safeParse(dev);
  const links: LinkEntry[] = [];
  const told = { ...(access && { access }), ...(untrusted.links && { links }) };
  const line: DirectoryLine = { type, path, dev: device.data ?? '0', files: [], ...told };
  if (!device.success) return { line, misfits: [misfit(path, `dev: ${explain(device.error)}`)] };
  const misfits: Misfit[] = [];
  for (const entry of untrusted.files) {
    const read = readEntry(directory, entry);
    if ('detail' in read) misfits.push(read);
    else line.files.push(read);
  }
  for (const entry of untrusted.links ?? []) {
    const read = LinkEntry.safeParse(entry);
    if (read.success && isLink(directory, read.data)) links.push(read.data);
    else misfits.push(misfit(path, 'a link in it cannot be one'));
  }
  return { line, misfits };
}

/** What it says is as long as a path can be. */
function isLink(directory: GuestPath, [name, target]: LinkEntry): boolean {
  if (!isNameIn(directory, name) || (typeof target === 'string' && !target.isWellFormed())) return false;
  const { length } = decodeBytes(target);
  return length > 0 && length <= LIMITS.pathBytes;
}

function readEntry(directory: GuestPath, untrusted: unknown): FileEntry | Misfit {
  const name = EntryName.safeParse(untrusted).data?.[0];
  if (name === undefined || !isNameIn(directory, name)) {
    return misfit(directory.wire, 'a file in it has a name that cannot be one');
  }
  const entry = FileEntry.safeParse(untrusted);
  return entry.success ? entry.data : misfit(directory.child(name).wire, explain(entry.error));
}

const misfit = (path: WireBytes, what: string): Misfit => ({
  path,
  detail: `the guest says of it what cannot be: ${what}`.slice(0, DETAIL),
});

/** Whether it can name a file there. Longer names than NAME_MAX are about: vfat has 255 UTF-16 units, FUSE 1,024 bytes. */
function isNameIn(directory: GuestPath, name: WireBytes): boolean {
  const isPlain =
    typeof name === 'string' ? isName(name) : isName(Buffer.from(name.b64, 'base64').toString('latin1'));
  if (!isPlain) return false;
  const length = typeof name === 'string' ? name.length : name.b64.length;
  const longest = 3 * length + 1 + directory.bytes.length;
  return longest <= LIMITS.pathBytes || isPath(directory, name);
}

function isName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0') &&
    name.isWellFormed()
  );
}

function isPath(directory: GuestPath, name: WireBytes): boolean {
  try {
    directory.child(name);
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

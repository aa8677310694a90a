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
type FaultLine = Extract<InventoryLine, { type: 'fault' }>;

export interface ReadLine {
  readonly line: InventoryLine;
  /** Entries that cannot be, as they came. */
  readonly misfits: readonly unknown[];
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
const Device = InventoryLine.options[0].shape.dev;
const EntryName = z.tuple([wireBytes], z.unknown());
const NONE: readonly unknown[] = [];
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
  const device = Device.safeParse(dev);
  const links: LinkEntry[] = [];
  const told = { ...(access && { access }), ...(untrusted.links && { links }) };
  const line: DirectoryLine = { type, path, dev: device.data ?? '0', files: [], ...told };
  if (!device.success) return { line, misfits: untrusted.files };
  const misfits: unknown[] = [];
  for (const one of untrusted.files) {
    const entry = FileEntry.safeParse(one);
    if (entry.success && isNameIn(directory, entry.data[0])) line.files.push(entry.data);
    else misfits.push(one);
  }
  for (const one of untrusted.links ?? []) {
    const link = LinkEntry.safeParse(one);
    if (link.success && isLink(directory, link.data)) links.push(link.data);
    else misfits.push(one);
  }
  return { line, misfits };
}

/** What it says is as long as a path can be. */
function isLink(directory: GuestPath, [name, target]: LinkEntry): boolean {
  if (!isNameIn(directory, name) || (typeof target === 'string' && !target.isWellFormed())) return false;
  const { length } = decodeBytes(target);
  return length > 0 && length <= LIMITS.pathBytes;
}

/** The fault that stands for an entry: of its path, or of its directory's where it has no name either. */
export function faultOf(directory: WireBytes, misfit: unknown): FaultLine {
  const name = EntryName.safeParse(misfit).data?.[0];
  const parent = GuestPath.of(directory);
  if (name === undefined || !isNameIn(parent, name)) return fault(directory, 'a file in it has no such name');
  const { error } = (isLinkLike(misfit) ? LinkEntry : FileEntry).safeParse(misfit);
  return fault(
    parent.child(name).wire,
    error ? explain(error) : isLinkLike(misfit) ? 'where it leads' : 'its device number',
  );
}

/** Entries of files have nine members, those of links two. */
const isLinkLike = (misfit: unknown): boolean => Array.isArray(misfit) && misfit.length === 2;

/** One that stands for so many entries of a directory. */
export const faultOfMany = (directory: WireBytes, misfits: number): FaultLine =>
  fault(directory, `of ${misfits} files in it`);

const fault = (path: WireBytes, what: string): FaultLine => ({
  type: 'fault',
  path,
  fault: 'unreadable',
  detail: `the guest says what cannot be: ${what}`.slice(0, DETAIL),
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

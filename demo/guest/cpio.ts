/**
 * The archive that a kernel unpacks as its first root file system: cpio in the "newc" form
 * (Documentation/driver-api/early-userspace/buffer-format.rst of the Linux source). Each entry is "070701",
 * thirteen numbers of eight hexadecimal digits, the name with its NUL, and the content; name and content are
 * each filled up to a multiple of four bytes. An entry named TRAILER!!! ends the archive.
 */
export interface CpioEntry {
  /** Without a leading slash; the directories above come first in the archive. */
  readonly name: string;
  /** File type and permissions, as in st_mode. */
  readonly mode: number;
  readonly content?: Uint8Array;
  /** Of a device node. */
  readonly device?: { readonly major: number; readonly minor: number };
}

export const directory = (name: string): CpioEntry => ({ name, mode: 0o040755 });
export const executable = (name: string, content: Uint8Array): CpioEntry => ({
  name,
  mode: 0o100755,
  content,
});
export const characterDevice = (name: string, major: number, minor: number): CpioEntry => ({
  name,
  mode: 0o020600,
  device: { major, minor },
});

const TRAILER: CpioEntry = { name: 'TRAILER!!!', mode: 0 };

export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  return Buffer.concat([...entries, TRAILER].flatMap((entry, index) => writeEntry(entry, index + 1)));
}

function writeEntry(entry: CpioEntry, inode: number): Uint8Array[] {
  const name = Buffer.from(`${entry.name}\0`, 'utf8');
  const content = entry.content ?? new Uint8Array();
  const { major, minor } = entry.device ?? { major: 0, minor: 0 };
  // inode, mode, uid, gid, links, mtime, size, device (2), device of a node (2), name length, checksum
  const fields = [inode, entry.mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return [padded(Buffer.concat([Buffer.from(header, 'ascii'), name])), padded(content)];
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}

/**
 * The lines of a walk (`InventoryLine`). There may be millions of entries, so that those of files are put together as
 * text.
 */
import { encodeBytes, type InventoryLine, LIMITS } from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import type { MountPoint } from '../linux/mounts.ts';
import type { FileStatus } from '../linux/status.ts';

type Fault = Extract<InventoryLine, { type: 'fault' }>['fault'];

const SLASH = 0x2f;
const LONGEST_DETAIL = 256;
const PLAIN_NAME = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

export const toLine = (line: InventoryLine): string => `${JSON.stringify(line)}\n`;

/** One FileEntry as JSON. */
export function entryJson(name: Buffer, status: FileStatus): string {
  const size = status.wireSize;
  return `[${nameJson(name)},"${status.ino}",${typeof size === 'number' ? size : `"${size}"`},"${status.mtime}","${status.ctime}",${status.mode},${status.uid},${status.gid},${status.links}]`;
}

/** The beginning of a `directory` line, up to its entries. */
export const directoryHead = (path: Buffer, dev: string): string =>
  `{"type":"directory","path":${JSON.stringify(encodeBytes(path))},"dev":"${dev}","files":[`;

export const leftOut = (path: Buffer, { type }: MountPoint): string =>
  toLine({ type: 'left-out', path: encodeBytes(path), fileSystem: type.slice(0, LONGEST_DETAIL) });

/** What an error of the system says of a path. */
export function faultOf(path: Buffer, error: unknown): string {
  const code = errnoOf(error);
  const isGone = code === 'ENOENT' || code === 'ENOTDIR';
  return faultLine(path, isGone ? 'vanished' : 'unreadable', messageOf(error).slice(0, LONGEST_DETAIL));
}

export const faultLine = (path: Buffer, fault: Fault, detail: string): string =>
  toLine({ type: 'fault', path: encodeBytes(nameable(path)), fault, detail });

/** What is too long to be told stands for itself by the directory that it lies in. */
const nameable = (path: Buffer): Buffer =>
  path.length <= LIMITS.pathBytes ? path : path.subarray(0, Math.max(1, path.lastIndexOf(SLASH)));

/** Most names need neither decoding nor escaping. */
function nameJson(name: Buffer): string {
  const text = name.toString('latin1');
  return PLAIN_NAME.test(text) ? `"${text}"` : JSON.stringify(encodeBytes(name));
}

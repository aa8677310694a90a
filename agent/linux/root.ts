/**
 * The directory that is the guest's `/`: the real one, or that of `--root`. Everything that the host names is
 * opened relative to its descriptor, so that no path leads out of it, whatever links lie on the way.
 */
import { closeSync, constants, openSync } from 'node:fs';
import type { GuestPath } from '../../protocol/index.ts';
import { O_PATH, openBeneath, openDirectory, type Resolution } from './calls.ts';
import { errnoOf } from './error.ts';
import { FileStatus } from './status.ts';

const SLASH = 0x2f;
const HERE = Buffer.from('.');
const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_DIRECTORY, O_NOATIME } = constants;

/** A regular file that was opened, with what it was at that moment. */
export interface OpenedFile {
  readonly descriptor: number;
  readonly status: FileStatus;
}

export class Root {
  readonly descriptor: number;
  /** As the kernel names it; `/` when all of the guest is served. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    this.descriptor = openSync(path, O_RDONLY | O_DIRECTORY);
  }

  get isWhole(): boolean {
    return this.path === '/';
  }

  openDirectory(path: GuestPath, how: Resolution = {}): number {
    return openDirectory(this.descriptor, relative(path.bytes), how);
  }

  /** The directory that holds `path`, to act on the name in it. */
  openParent(path: GuestPath): number {
    return openDirectory(this.descriptor, relative(path.bytes.subarray(0, -path.name.length)));
  }

  /** A descriptor that names what stands at `path`, a link too, without opening it. */
  openHandle(path: GuestPath, how: Resolution = {}): number {
    return openBeneath(this.descriptor, relative(path.bytes), O_PATH | O_NOFOLLOW, how);
  }

  /** Opens a regular file for reading; undefined when it is something else. Throws SystemError. */
  openRegular(path: GuestPath): OpenedFile | undefined {
    return openRegular(this.descriptor, relative(path.bytes));
  }

  /** `path` as seen from this root; undefined when it lies elsewhere. */
  inside(path: Buffer): Buffer | undefined {
    if (this.isWhole) return path;
    const prefix = Buffer.from(`${this.path}/`);
    return path.subarray(0, prefix.length).equals(prefix) ? path.subarray(prefix.length - 1) : undefined;
  }
}

/**
 * Opens a regular file below a directory. Looks first, through a descriptor that opens nothing (O_PATH), and
 * then opens that very inode: to open a device or a FIFO can have effects, and is never done.
 */
export function openRegular(directory: number, path: Uint8Array): OpenedFile | undefined {
  const handle = openBeneath(directory, path, O_PATH | O_NOFOLLOW);
  try {
    const status = FileStatus.ofDescriptor(handle);
    if (!status.isRegular) return undefined;
    return { descriptor: reopen(handle), status };
  } finally {
    closeSync(handle);
  }
}

/** Reading leaves no trace in the access time where the kernel lets us (owner, or CAP_FOWNER). */
function reopen(handle: number): number {
  const path = `/proc/self/fd/${handle}`;
  try {
    return openSync(path, O_RDONLY | O_NONBLOCK | O_NOATIME);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    return openSync(path, O_RDONLY | O_NONBLOCK);
  }
}

function relative(path: Buffer): Buffer {
  let from = 0;
  while (path[from] === SLASH) from++;
  return from === path.length ? HERE : path.subarray(from);
}

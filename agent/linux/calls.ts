/**
 * System calls on descriptors and names relative to them. Names are bytes without their NUL. Every function
 * throws SystemError; every descriptor that one returns is the caller's to close.
 *
 * Calls that an old C library has no wrapper for go through syscall(2), so that glibc 2.17 is enough.
 */
import { constants } from 'node:fs';
import { SystemError } from './error.ts';
import { libc, type NativeType } from './ffi.ts';
import { cString, nativeBuffer } from './memory.ts';

const NUMBERS = {
  x64: { getdents64: 217, renameat2: 316, statx: 332, pidfd_send_signal: 424, pidfd_open: 434, openat2: 437 },
  arm64: {
    getdents64: 61,
    renameat2: 276,
    statx: 291,
    pidfd_send_signal: 424,
    pidfd_open: 434,
    openat2: 437,
  },
} as const;

function numbers() {
  const arch = process.arch;
  if (arch === 'x64' || arch === 'arm64') return NUMBERS[arch];
  throw new Error(`the agent knows no system call numbers for ${arch}: it runs on x64 and arm64`);
}
const NUMBER = numbers();

const system = (...parameters: NativeType[]) => libc.bind('syscall', ['i32', ...parameters]);

const native = {
  openat2: system('i32', 'buffer', 'buffer', 'u32'),
  getdents64: system('i32', 'buffer', 'u32'),
  statx: system('i32', 'buffer', 'u32', 'u32', 'buffer'),
  renameat2: system('i32', 'buffer', 'i32', 'buffer', 'u32'),
  pidfdOpen: system('i32', 'u32'),
  pidfdSendSignal: system('i32', 'i32', 'u64', 'u32'),
  mkdirat: libc.bind('mkdirat', ['i32', 'buffer', 'u32']),
  unlinkat: libc.bind('unlinkat', ['i32', 'buffer', 'i32']),
  readlinkat: libc.bind('readlinkat', ['i32', 'buffer', 'buffer', 'u64']),
  linkat: libc.bind('linkat', ['i32', 'buffer', 'i32', 'buffer', 'i32']),
  futimens: libc.bind('futimens', ['i32', 'buffer']),
  poll: libc.bind('poll', ['buffer', 'u64', 'i32']),
};

/** Flags of open(2) that node:fs does not name. */
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;

/** How openat2(2) resolves: below the directory descriptor, and without following any kind of link. */
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const RESOLVE_CACHED = 0x20;
const OPEN_HOW_BYTES = 24;

const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
/** What a file system has cached will do: a stalled network or FUSE mount must not stall us. */
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_BASIC_STATS = 0x7ff;

const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

const EMPTY_NAME = nativeBuffer(1);
/** No link is longer than a path (PATH_MAX). */
const linkTarget = nativeBuffer(4096);
const openHow = nativeBuffer(OPEN_HOW_BYTES);
const times = nativeBuffer(32);
const pollEntry = nativeBuffer(8);

function check(call: string, result: number): number {
  if (result < 0) throw new SystemError(call, libc.errno());
  return result;
}

export interface Resolution {
  readonly mode?: number;
  /** Refuse (EXDEV) to cross into what is mounted below the directory. */
  readonly oneMount?: boolean;
  /** Ask no file system: EAGAIN where the way is not in the kernel's cache, EINVAL before Linux 5.12. */
  readonly cachedOnly?: boolean;
}

/** Opens what lies below a directory: `..`, absolute paths and links of any kind in the path are refused. */
export function openBeneath(
  directory: number,
  path: Uint8Array,
  flags: number,
  how: Resolution = {},
): number {
  let resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  if (how.oneMount) resolve |= RESOLVE_NO_XDEV;
  if (how.cachedOnly) resolve |= RESOLVE_CACHED;
  openHow.writeUInt32LE((flags | O_CLOEXEC) >>> 0, 0);
  openHow.writeUInt32LE(how.mode ?? 0, 8);
  openHow.writeUInt32LE(resolve, 16);
  return check('openat2', native.openat2(NUMBER.openat2, directory, cString(path), openHow, OPEN_HOW_BYTES));
}

export function openDirectory(directory: number, path: Uint8Array, how: Resolution = {}): number {
  return openBeneath(directory, path, constants.O_RDONLY | constants.O_DIRECTORY, how);
}

/** Fills `buffer` with directory entries (`directory.ts` reads them); the bytes filled, 0 at the end. */
export function getdents(directory: number, buffer: Buffer): number {
  return check('getdents64', native.getdents64(NUMBER.getdents64, directory, buffer, buffer.length));
}

/** `name` ends with NUL and may lie in a larger buffer; `buffer` has STATX_BYTES (`status.ts` reads it). */
export function statxAt(directory: number, name: Uint8Array, buffer: Buffer): void {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  check('statx', native.statx(NUMBER.statx, directory, name, flags, STATX_BASIC_STATS, buffer));
}

export function statxDescriptor(descriptor: number, buffer: Buffer): void {
  check(
    'statx',
    native.statx(NUMBER.statx, descriptor, EMPTY_NAME, AT_EMPTY_PATH, STATX_BASIC_STATS, buffer),
  );
}

/** The same of a descriptor that names a file without having opened it (O_PATH), as far as the kernel knows it by itself. */
export function statxHandle(handle: number, buffer: Buffer): void {
  const flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  check('statx', native.statx(NUMBER.statx, handle, EMPTY_NAME, flags, STATX_BASIC_STATS, buffer));
}

function rename(from: number, name: Uint8Array, to: number, newName: Uint8Array, flags: number): void {
  check(
    'renameat2',
    native.renameat2(NUMBER.renameat2, from, cString(name), to, cString(newName, 'second'), flags),
  );
}

/** Renames; EEXIST when the new name is taken. */
export function renameNoReplace(from: number, name: Uint8Array, to: number, newName: Uint8Array): void {
  rename(from, name, to, newName, RENAME_NOREPLACE);
}

/** Exchanges two existing names in one step. */
export function renameExchange(from: number, name: Uint8Array, to: number, newName: Uint8Array): void {
  rename(from, name, to, newName, RENAME_EXCHANGE);
}

/** Gives a file a second name; EEXIST when that is taken. */
export function link(from: number, name: Uint8Array, to: number, newName: Uint8Array): void {
  check('linkat', native.linkat(from, cString(name), to, cString(newName, 'second'), 0));
}

/** What a symbolic link says; `name` ends with NUL. The bytes are a view, valid until the next call. */
export function readLink(directory: number, name: Uint8Array): Buffer {
  const length = native.readlinkat(directory, name, linkTarget, BigInt(linkTarget.length));
  return linkTarget.subarray(0, check('readlinkat', length));
}

export function makeDirectory(directory: number, name: Uint8Array, mode: number): void {
  check('mkdirat', native.mkdirat(directory, cString(name), mode));
}

export function unlink(directory: number, name: Uint8Array): void {
  check('unlinkat', native.unlinkat(directory, cString(name), 0));
}

/** Removes an empty directory. */
export function removeDirectory(directory: number, name: Uint8Array): void {
  check('unlinkat', native.unlinkat(directory, cString(name), AT_REMOVEDIR));
}

/** Sets both times, given as seconds since 1970 with nine decimals, to the nanosecond. */
export function setTimes(descriptor: number, atime: string, mtime: string): void {
  [atime, mtime].forEach((time, index) => {
    const [seconds = '0', nanoseconds = '0'] = time.split('.');
    times.writeBigInt64LE(BigInt(seconds), index * 16);
    times.writeBigInt64LE(BigInt(nanoseconds), index * 16 + 8);
  });
  check('futimens', native.futimens(descriptor, times));
}

/** A descriptor that stands for one process, whatever becomes of its number. */
export function pidfdOpen(pid: number): number {
  return check('pidfd_open', native.pidfdOpen(NUMBER.pidfd_open, pid, 0));
}

export function pidfdSendSignal(pidfd: number, signal: number): void {
  check('pidfd_send_signal', native.pidfdSendSignal(NUMBER.pidfd_send_signal, pidfd, signal, 0n, 0));
}

/** Whether the process of a pidfd has ended. Does not wait. */
export function hasEnded(pidfd: number): boolean {
  const POLLIN = 1;
  pollEntry.writeInt32LE(pidfd, 0);
  pollEntry.writeInt16LE(POLLIN, 4);
  return check('poll', native.poll(pollEntry, 1n, 0)) > 0;
}

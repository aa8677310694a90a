/** Pipes and memory that two processes share by their descriptors (pipe(7), memfd_create(2)). */
import { constants } from 'node:os';
import { SystemError } from './error.ts';
import { libc } from './ffi.ts';
import { cString, nativeBuffer } from './memory.ts';

const native = {
  pipe2: libc.bind('pipe2', ['buffer', 'i32']),
  fcntl: libc.bind('fcntl', ['i32', 'i32', 'i32']),
  // By number: the C library has a wrapper only since 2.27.
  memfdCreate: libc.bind('syscall', ['i32', 'buffer', 'u32']),
};
const MEMFD_CREATE = { x64: 319, arm64: 279 }[process.arch as 'x64' | 'arm64'];

const O_CLOEXEC = 0o2000000;
const MFD_CLOEXEC = 1;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;

const ends = nativeBuffer(8);

function check(call: string, result: number): number {
  if (result < 0) throw new SystemError(call, libc.errno());
  return result;
}

export interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
  /** Bytes that it holds before a writer has to wait. */
  readonly capacity: number;
}

/** Of `bytes` where the kernel lets us have so large a one. Both ends are the caller's to close. Throws SystemError. */
export function makePipe(bytes: number): Pipe {
  check('pipe2', native.pipe2(ends, O_CLOEXEC));
  const [readEnd, writeEnd] = [ends.readInt32LE(0), ends.readInt32LE(4)];
  // Refused with EPERM where this user has too many pages in pipes already: it then stays as small as it is.
  native.fcntl(writeEnd, F_SETPIPE_SZ, bytes);
  return { readEnd, writeEnd, capacity: check('fcntl', native.fcntl(writeEnd, F_GETPIPE_SZ, 0)) };
}

/** A file that lies in memory alone, and is gone with its last descriptor. Throws SystemError. */
export function makeMemoryFile(name: string): number {
  if (MEMFD_CREATE === undefined) throw new SystemError('memfd_create', constants.errno.ENOSYS);
  return check('memfd_create', native.memfdCreate(MEMFD_CREATE, cString(Buffer.from(name)), MFD_CLOEXEC));
}

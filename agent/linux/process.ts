/** Processes as /proc tells of them (proc(5)). A process is named by its pid and its start time together. */
import { closeSync, constants, openSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { errnoOf, SystemError } from './error.ts';
import type { OpenedFile, Root } from './root.ts';
import { FileStatus, unsigned } from './status.ts';

/** include/linux/sched.h */
const PF_KTHREAD = 0x0020_0000;
const ESRCH = 3;
const DELETED = Buffer.from(' (deleted)');
const IN_MEMORY = Buffer.from('/memfd:');

export interface ProcessStat {
  readonly name: Buffer;
  /** One letter: R, S, D, Z… */
  readonly state: string;
  readonly parent: number;
  readonly isKernelThread: boolean;
  /** Clock ticks after boot. */
  readonly start: string;
}

export interface Executable {
  readonly path: Buffer;
  readonly dev: string;
  readonly ino: string;
  readonly deleted: boolean;
  readonly inMemory: boolean;
}

/** Throws SystemError or the error of node:fs: ENOENT or ESRCH when the process has gone. */
export function readStat(pid: number): ProcessStat {
  return parseStat(readFileSync(`/proc/${pid}/stat`));
}

/** The name stands in parentheses and may itself hold any byte, parentheses and spaces among them. */
export function parseStat(line: Buffer): ProcessStat {
  const nameEnd = line.lastIndexOf(')');
  const fields = line
    .subarray(nameEnd + 2)
    .toString('latin1')
    .trimEnd()
    .split(' ');
  return {
    name: line.subarray(line.indexOf('(') + 1, nameEnd),
    state: fields[0] ?? '',
    parent: Number(fields[1]),
    isKernelThread: (Number(fields[6]) & PF_KTHREAD) !== 0,
    start: fields[19] ?? '',
  };
}

/** Undefined for a kernel thread and a zombie, and where it may not be read. Its path is that of the real `/`. */
export function readExecutable(pid: number): Executable | undefined {
  const link = `/proc/${pid}/exe`;
  try {
    const shown = readlinkSync(link, { encoding: 'buffer' });
    const { dev, ino, nlink } = statSync(link, { bigint: true });
    // The kernel marks a name that is gone; a file may also just be called so, and is then still linked.
    const isMarked = shown.subarray(-DELETED.length).equals(DELETED);
    const deleted = isMarked && (nlink === 0n || !isThere(shown, dev, ino));
    const path = deleted ? shown.subarray(0, -DELETED.length) : shown;
    const inMemory = deleted && path.subarray(0, IN_MEMORY.length).equals(IN_MEMORY);
    return { path, dev: unsigned(dev), ino: unsigned(ino), deleted, inMemory };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function isThere(path: Buffer, dev: bigint, ino: bigint): boolean {
  try {
    const found = statSync(path, { bigint: true });
    return found.dev === dev && found.ino === ino;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/**
 * Opens the executable of a running process, whether or not it still has a name. Throws ESRCH when that
 * process has gone, or its pid is another's by now; undefined when it is none of this root's.
 */
export function openExecutable(pid: number, start: string, root: Root): OpenedFile | undefined {
  const descriptor = openSync(`/proc/${pid}/exe`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = FileStatus.ofDescriptor(descriptor);
    // Only now is it sure whose executable was opened.
    if (readStat(pid).start !== start) throw new SystemError('open executable', ESRCH);
    const executable = readExecutable(pid);
    if (executable && root.inside(executable.path) && status.isRegular) return { descriptor, status };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  closeSync(descriptor);
  return undefined;
}

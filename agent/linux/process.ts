/** Processes as /proc tells of them (proc(5)). A process is named by its pid and its start time together. */
import { closeSync, constants, openSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { O_PATH } from './calls.ts';
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
  /** As the kernel shows it, in the namespace of its mount (`placement.ts`). */
  readonly path: Buffer;
  /** The id of that mount. */
  readonly mount: string;
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

/**
 * Undefined for a kernel thread and a zombie, and where it may not be read. All is read of one handle, which opens
 * nothing, so that a process that executes another program meanwhile is told as the one or the other, and that a file
 * system that never answers is not asked.
 */
export function readExecutable(pid: number): Executable | undefined {
  let handle: number | undefined;
  try {
    handle = openSync(`/proc/${pid}/exe`, O_PATH);
    return ofHandle(handle);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

function ofHandle(handle: number): Executable {
  const shown = readlinkSync(`/proc/self/fd/${handle}`, { encoding: 'buffer' });
  const { dev, ino, links } = FileStatus.ofHandle(handle);
  const [, mount = ''] =
    /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${handle}`, 'latin1')) ?? [];
  // The kernel marks a name that is gone; a file may also just be called so, and is then still linked.
  const isMarked = shown.subarray(-DELETED.length).equals(DELETED);
  const deleted = isMarked && (links === 0 || !isThere(shown, dev, ino));
  const path = deleted ? shown.subarray(0, -DELETED.length) : shown;
  const inMemory = deleted && path.subarray(0, IN_MEMORY.length).equals(IN_MEMORY);
  return { path, mount, dev, ino, deleted, inMemory };
}

function isThere(path: Buffer, dev: string, ino: string): boolean {
  try {
    const found = statSync(path, { bigint: true });
    return unsigned(found.dev) === dev && unsigned(found.ino) === ino;
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

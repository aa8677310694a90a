import {
  decodeBytes,
  displayBytes,
  displayText,
  lengthOf,
  type ProcessLine,
  type ProcessTarget,
} from '../../protocol/index.ts';
import type { Detection as Found, ProcessSubject } from '../api/index.ts';
import type { ContentItem } from './contents.ts';
import type { Detection } from './detect.ts';

export type ListedProcess = Extract<ProcessLine, { type: 'process' }>;
type Executable = NonNullable<ListedProcess['executable']>;

/** A process of the guest that runs an executable: everything but kernel threads. */
export type RunningProcess = ListedProcess & { readonly executable: Executable };

/**
 * The kernel's own threads run no executable. The agent tells them by their flags: programs that the kernel starts
 * for its own ends have kthreadd as their parent too, and in a namespace of pids 2 can be any process. An agent that
 * does not tell leaves their parent to go by.
 */
const KTHREADD = 2;

export const isRunning = (process: ListedProcess): process is RunningProcess =>
  process.executable !== undefined;

export const isKernelThread = ({ pid, parent, executable, kernelThread }: ListedProcess): boolean =>
  executable === undefined && (kernelThread ?? (pid === KTHREADD || parent === KTHREADD));

/**
 * What no listing of files has at that path: it has no name any more, or has it in a mount namespace of its own. (An
 * agent that does not tell where executables are placed knows only of the first.)
 */
const isReadThroughProcess = ({ deleted, inMemory, placed }: Executable): boolean =>
  deleted || inMemory || placed === false;

/** Names one file of one guest whatever its path. */
export const inodeKey = (file: { readonly dev: string; readonly ino: string }): string =>
  `${file.dev}:${file.ino}`;

export function targetOf({ pid, start, executable: { dev, ino } }: RunningProcess): ProcessTarget {
  return { pid, start, executable: { dev, ino } };
}

/** Characters of what it tells of itself. */
export function lengthOfText({ name, commandLine, executable }: RunningProcess): number {
  const words = [name, executable.path, ...commandLine];
  return words.reduce((sum, word) => sum + lengthOf(word), 0);
}

/** Where the path of an executable that is not placed in the guest leads. */
export function shownPlace({ container }: ListedProcess): string {
  if (!container) return 'in a mount namespace of its own';
  const { runtime, id } = shownContainer(container);
  return `in the container ${id} (${runtime})`;
}

export const shownContainer = ({ runtime, id }: NonNullable<ListedProcess['container']>) => ({
  runtime: displayText(runtime),
  id: displayText(id),
});

/** What detectors are told of a process. `detections` are those of its executable's content, when it was scanned. */
export function subjectOf(process: RunningProcess, detections?: readonly Found[]): ProcessSubject {
  const { pid, uid, executable, container } = process;
  return {
    kind: 'process',
    id: `${pid}@${process.start}`,
    pid,
    uid,
    name: displayBytes(decodeBytes(process.name)),
    commandLine: process.commandLine.map((argument) => displayBytes(decodeBytes(argument))),
    ...(container && { container: shownContainer(container) }),
    executable: {
      path: displayBytes(decodeBytes(executable.path)),
      deleted: executable.deleted,
      inMemory: executable.inMemory,
      ...(detections && { detections }),
    },
  };
}

/** The executable of a process, to be fetched through it. */
export type WantedExecutable = ContentItem & { readonly executable: Executable };

/** Executables to be read through a process that some detector wants, each once however many processes run it. */
export function executableItems(
  running: readonly RunningProcess[],
  detection: Detection,
): WantedExecutable[] {
  const items = new Map<string, WantedExecutable>();
  for (const { pid, start, uid, executable } of running) {
    if (!isReadThroughProcess(executable)) continue;
    const path = displayBytes(decodeBytes(executable.path));
    // Only the descriptor would tell more of a file that no listing has.
    const facts = { path, size: 0, mode: 0, uid, gid: 0, mtime: '0.000000000' };
    const interest = detection.interest({ kind: 'file', facts });
    if (interest !== '')
      items.set(inodeKey(executable), { request: { pid, start }, facts, interest, executable });
  }
  return [...items.values()];
}

import { decodeBytes, displayBytes, type ProcessLine, type ProcessTarget } from '../../protocol/index.ts';
import type { Detection as Found, ProcessSubject } from '../api/index.ts';
import type { GuestSession } from '../channel/session.ts';
import type { ContentItem } from './contents.ts';
import type { Detection } from './detect.ts';

type ListedProcess = Extract<ProcessLine, { type: 'process' }>;
type Executable = NonNullable<ListedProcess['executable']>;

/** A process of the guest that runs an executable: everything but kernel threads. */
export type RunningProcess = ListedProcess & { readonly executable: Executable };

export interface ProcessInventory {
  readonly running: readonly RunningProcess[];
  /** Processes whose executable the agent could not tell. */
  readonly unreadable: readonly ListedProcess[];
}

/** kthreadd: itself and its children are kernel threads, which run no executable. */
const KTHREADD = 2;

export async function listProcesses(session: GuestSession, signal: AbortSignal): Promise<ProcessInventory> {
  const running: RunningProcess[] = [];
  const unreadable: ListedProcess[] = [];
  for await (const line of session.listProcesses(signal)) {
    if (line.type === 'end') continue;
    const { executable } = line;
    if (executable) running.push({ ...line, executable });
    else if (line.pid !== KTHREADD && line.parent !== KTHREADD) unreadable.push(line);
  }
  return { running, unreadable };
}

/** Names one file of one guest whatever its path. */
export const inodeKey = (file: { readonly dev: string; readonly ino: string }): string =>
  `${file.dev}:${file.ino}`;

export function targetOf({ pid, start, executable: { dev, ino } }: RunningProcess): ProcessTarget {
  return { pid, start, executable: { dev, ino } };
}

/** What detectors are told of a process. `detections` are those of its executable's content, when it was scanned. */
export function subjectOf(process: RunningProcess, detections?: readonly Found[]): ProcessSubject {
  const { pid, uid, executable } = process;
  return {
    kind: 'process',
    id: `${pid}@${process.start}`,
    pid,
    uid,
    name: displayBytes(decodeBytes(process.name)),
    commandLine: process.commandLine.map((argument) => displayBytes(decodeBytes(argument))),
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

/** Executables without a name that some detector wants, each once however many processes run it. */
export function executableItems(
  running: readonly RunningProcess[],
  detection: Detection,
): WantedExecutable[] {
  const items = new Map<string, WantedExecutable>();
  for (const { pid, start, uid, executable } of running) {
    if (!executable.deleted && !executable.inMemory) continue;
    const path = displayBytes(decodeBytes(executable.path));
    // Only the descriptor would tell more of a file without a name.
    const facts = { path, size: 0, mode: 0, uid, gid: 0, mtime: '0.000000000' };
    const interest = detection.interest({ kind: 'file', facts });
    if (interest !== '')
      items.set(inodeKey(executable), { request: { pid, start }, facts, interest, executable });
  }
  return [...items.values()];
}

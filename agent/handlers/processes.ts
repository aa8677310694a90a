/** The process inventory, as NDJSON (`ProcessLine`). */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { encodeBytes, LIMITS, type ProcessLine, ProcessRequest, parseMessage } from '../../protocol/index.ts';
import { containerOf } from '../linux/container.ts';
import { errnoOf } from '../linux/error.ts';
import type { Placement } from '../linux/placement.ts';
import { type Executable, readExecutable, readStat } from '../linux/process.ts';
import type { Root } from '../linux/root.ts';
import type { Readers } from '../reader/readers.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { sendAll } from './outflow.ts';

/** It has ended, runs nothing, and waits for its parent to take note. */
const ZOMBIE = 'Z';

type Process = Extract<ProcessLine, { type: 'process' }>;

/** Without a request all are told in one answer, as far as the contract lets a list go; with one, a page of them. */
export async function sendProcesses(exchange: Exchange, readers: Readers, pace: Pace): Promise<void> {
  const body = await exchange.body();
  const request = body.length > 0 ? parseMessage(ProcessRequest, body) : undefined;
  readers.ready();
  exchange.begin('application/x-ndjson');
  const state = { after: request?.after ?? 0, told: 0, bytes: 0 };
  await sendAll(exchange, readers.work({ kind: 'processes', isPaged: request !== undefined, state }), pace);
  exchange.end();
}

/** What is known of a process without asking for what it runs, which did not come back. */
export function describeBriefly(pid: number): Process | undefined {
  try {
    const { name, parent, start } = readStat(pid);
    const { uid } = statSync(`/proc/${pid}`);
    return { type: 'process', pid, parent, start, uid, name: encodeBytes(name), commandLine: [] };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Undefined when the process has ended, is none of this root's, or is hidden from us. */
export function describeProcess(pid: number, root: Root, placement: Placement): Process | undefined {
  try {
    const { name, parent, start, state, isKernelThread } = readStat(pid);
    if (state === ZOMBIE) return undefined;
    const executable = readExecutable(pid);
    const path = executable && root.inside(executable.path);
    if (!root.isWhole && !path) return undefined;
    return {
      type: 'process',
      ...{ pid, parent, start, uid: statSync(`/proc/${pid}`).uid, name: encodeBytes(name) },
      ...readCommandLine(pid),
      ...(isKernelThread && { kernelThread: true }),
      ...surroundingsOf(pid, placement),
      ...(executable && path && { executable: tell(executable, path, placement) }),
    };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function tell(executable: Executable, path: Buffer, placement: Placement): Process['executable'] {
  const { dev, ino, deleted, inMemory } = executable;
  return { path: encodeBytes(path), dev, ino, deleted, inMemory, placed: placement.isPlaced(executable) };
}

/** The mounts that it sees, and the container that it is in where these are not the guest's. */
function surroundingsOf(pid: number, placement: Placement): Pick<Process, 'namespace' | 'container'> {
  const isForeign = placement.isForeign(pid);
  if (isForeign === undefined) return {};
  const container = isForeign ? containerOf(pid) : undefined;
  return { namespace: isForeign ? 'foreign' : 'own', ...(container && { container }) };
}

/** As much of the arguments, each of which ends with NUL, as the contract lets be told; `cut` says that there is more. */
function readCommandLine(pid: number): Pick<Process, 'commandLine' | 'cut'> {
  const most = LIMITS.commandLineBytes;
  const all = beginningOf(`/proc/${pid}/cmdline`, most + 2);
  if (all.length === 0) return { commandLine: [] };
  const bytes = all.at(-1) === 0 ? all.subarray(0, -1) : all;
  const told = bytes.subarray(0, most);
  const words: Process['commandLine'] = [];
  let from = 0;
  while (from <= told.length && words.length < LIMITS.commandLineArguments) {
    const nul = told.indexOf(0, from);
    const end = nul < 0 ? told.length : nul;
    words.push(encodeBytes(told.subarray(from, end)));
    from = end + 1;
  }
  const isCut = bytes.length > most || from <= told.length;
  return { commandLine: words, ...(isCut && { cut: true }) };
}

function beginningOf(path: string, most: number): Buffer {
  const buffer = Buffer.allocUnsafe(most);
  const descriptor = openSync(path, 'r');
  try {
    let length = 0;
    for (;;) {
      const read = readSync(descriptor, buffer, length, most - length, null);
      length += read;
      if (read === 0 || length === most) return buffer.subarray(0, length);
    }
  } finally {
    closeSync(descriptor);
  }
}

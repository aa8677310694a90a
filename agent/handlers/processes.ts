/** The process inventory, as NDJSON (`ProcessLine`). */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { encodeBytes, encodeLine, LIMITS, type ProcessLine } from '../../protocol/index.ts';
import { containerOf } from '../linux/container.ts';
import { errnoOf } from '../linux/error.ts';
import { Placement } from '../linux/placement.ts';
import { type Executable, readExecutable, readStat } from '../linux/process.ts';
import type { Root } from '../linux/root.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { Turns } from '../session/turns.ts';

/** It has ended, runs nothing, and waits for its parent to take note. */
const ZOMBIE = 'Z';

type Process = Extract<ProcessLine, { type: 'process' }>;
type End = Extract<ProcessLine, { type: 'end' }>;

export async function sendProcesses(exchange: Exchange, root: Root, pace: Pace): Promise<void> {
  await exchange.body();
  exchange.begin('application/x-ndjson');
  const turns = new Turns();
  const placement = new Placement(root);
  let processes = 0;
  let bytes = 0;
  let limit: End['limit'];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const process = describe(Number(name), root, placement);
    if (!process) continue;
    const line = encodeLine(process);
    limit = limitPassed(processes + 1, bytes + line.length);
    if (limit) break;
    processes++;
    bytes += line.length;
    await exchange.write(line);
    await turns.next(exchange.signal);
    // After a line only: what is left out says nothing, and the host awaits a sign of life.
    const pause = pace.next(exchange.signal);
    if (pause) await pause;
  }
  await exchange.write(encodeLine({ type: 'end', processes, ...(limit && { limit }) } satisfies ProcessLine));
  exchange.end();
}

function limitPassed(processes: number, bytes: number): End['limit'] {
  if (processes > LIMITS.processes) return 'processes';
  return bytes > LIMITS.processListBytes ? 'bytes' : undefined;
}

/** Undefined when the process has ended, is none of this root's, or is hidden from us. */
function describe(pid: number, root: Root, placement: Placement): Process | undefined {
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

/** The process inventory, as NDJSON (`ProcessLine`). */
import { readFileSync, statSync } from 'node:fs';
import { encodeBytes, LIMITS, type ProcessLine } from '../../protocol/index.ts';
import { errnoOf } from '../linux/error.ts';
import { readExecutable, readStat } from '../linux/process.ts';
import type { Root } from '../linux/root.ts';
import type { Readers } from '../reader/readers.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { sendAll } from './outflow.ts';

const MOST_ARGUMENTS = 1024;
/** It has ended, runs nothing, and waits for its parent to take note. */
const ZOMBIE = 'Z';

type Process = Extract<ProcessLine, { type: 'process' }>;

export async function sendProcesses(exchange: Exchange, readers: Readers, pace: Pace): Promise<void> {
  await exchange.body();
  readers.ready();
  exchange.begin('application/x-ndjson');
  await sendAll(exchange, readers.work({ kind: 'processes', state: { after: 0, told: 0 } }), pace);
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
export function describeProcess(pid: number, root: Root): Process | undefined {
  try {
    const { name, parent, start, state } = readStat(pid);
    if (state === ZOMBIE) return undefined;
    const executable = readExecutable(pid);
    const path = executable && root.inside(executable.path);
    if (!root.isWhole && !path) return undefined;
    return {
      type: 'process',
      pid,
      parent,
      start,
      uid: statSync(`/proc/${pid}`).uid,
      name: encodeBytes(name),
      commandLine: readCommandLine(pid),
      ...(executable && path && { executable: { ...executable, path: encodeBytes(path) } }),
    };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function readCommandLine(pid: number): Process['commandLine'] {
  const bytes = readFileSync(`/proc/${pid}/cmdline`).subarray(0, LIMITS.commandLineBytes);
  const words: Process['commandLine'] = [];
  for (let from = 0; from < bytes.length && words.length < MOST_ARGUMENTS; ) {
    const nul = bytes.indexOf(0, from);
    const end = nul < 0 ? bytes.length : nul;
    words.push(encodeBytes(bytes.subarray(from, end)));
    from = end + 1;
  }
  return words;
}

/** The process inventory, as NDJSON (`ProcessLine`). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { encodeBytes, encodeLine, LIMITS, type ProcessLine } from '../../protocol/index.ts';
import { errnoOf } from '../linux/error.ts';
import { readExecutable, readStat } from '../linux/process.ts';
import type { Root } from '../linux/root.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { Turns } from '../session/turns.ts';

const MOST_ARGUMENTS = 1024;
/** It has ended, runs nothing, and waits for its parent to take note. */
const ZOMBIE = 'Z';

type Process = Extract<ProcessLine, { type: 'process' }>;

export async function sendProcesses(exchange: Exchange, root: Root, pace: Pace): Promise<void> {
  await exchange.body();
  exchange.begin('application/x-ndjson');
  const turns = new Turns();
  let processes = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || processes === LIMITS.processes) continue;
    const line = describe(Number(name), root);
    if (!line) continue;
    processes++;
    await exchange.write(encodeLine(line));
    await turns.next(exchange.signal);
    // After a line only: what is left out says nothing, and the host awaits a sign of life.
    const pause = pace.next(exchange.signal);
    if (pause) await pause;
  }
  await exchange.write(encodeLine({ type: 'end', processes } satisfies ProcessLine));
  exchange.end();
}

/** Undefined when the process has ended, is none of this root's, or is hidden from us. */
function describe(pid: number, root: Root): Process | undefined {
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

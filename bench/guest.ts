/** A guest for benchmarks: the agent as it is shipped, over a directory of this machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface BenchGuest extends AsyncDisposable {
  readonly socket: string;
  readonly pid: number;
  readonly packaging: 'single executable' | 'Node script';
}

const EXECUTABLE = fileURLToPath(new URL('../lazaret-agent', import.meta.url));
const SCRIPT = fileURLToPath(new URL('../agent/main.js', import.meta.url));

/** Starts an agent that serves `root`; resolves when it listens. */
export async function startGuest(root: string): Promise<BenchGuest> {
  const directory = await mkdtemp(join(tmpdir(), 'lazaret-bench-'));
  const socket = join(directory, 'agent.sock');
  const single = existsSync(EXECUTABLE);
  const [program, ...script] = single ? [EXECUTABLE] : [process.execPath, SCRIPT];
  const options = ['--listen', `unix:${socket}`, '--root', root, '--state', join(directory, 'state')];
  const agent = spawn(program as string, [...script, ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(agent, 'exit');
  const serving = once(createInterface(agent.stderr), 'line');
  await Promise.race([serving, ended.then(() => Promise.reject(new Error('the agent did not start')))]);
  return {
    socket,
    pid: agent.pid as number,
    packaging: single ? 'single executable' : 'Node script',
    async [Symbol.asyncDispose]() {
      agent.kill();
      await ended;
      await rm(directory, { recursive: true });
    },
  };
}

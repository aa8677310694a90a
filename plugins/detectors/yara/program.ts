/**
 * Runs the programs `yara` and `yarac` of YARA 4 (https://yara.readthedocs.io/en/stable/commandline.html),
 * confined, without a shell and with a bounded output.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { MemoryWatch } from 'lazaret/plugin';
import type { ProcessLimits } from './engine.ts';

export interface Programs {
  readonly yara: string;
  readonly yarac: string;
}

export interface Ended {
  /** Undefined when it was killed; then `why` says for what. */
  readonly status: number | undefined;
  readonly why?: string;
  /** It was killed because its time was up. */
  readonly overdue: boolean;
  /** The beginning of what it said on stderr. */
  readonly stderr: string;
}

export interface Run {
  readonly args: readonly string[];
  readonly deadlineMs: number;
  readonly cwd?: string;
  /** The one file that it writes. */
  readonly writes?: string;
  readonly onOutput?: (chunk: Buffer) => void;
  readonly signal?: AbortSignal;
}

const MAX_STDERR = 1024 * 1024;
const MAX_OUTPUT = 256 * 1024 * 1024;

/** Where they are, when both are there. */
export function findPrograms(path = process.env.PATH ?? ''): Programs | undefined {
  const find = (name: string): string | undefined =>
    [...path.split(delimiter), '/usr/local/bin', '/usr/bin']
      .filter((directory) => directory.startsWith('/'))
      .map((directory) => join(directory, name))
      .find((file) => existsSync(file));
  const [yara, yarac] = [find('yara'), find('yarac')];
  return yara !== undefined && yarac !== undefined ? { yara, yarac } : undefined;
}

/** Resolves when it has ended; does not reject. */
export function run(program: string, limits: ProcessLimits, run: Run): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const command = limits.confinement.around({ program, args: run.args }, run.writes);
  const child = spawn(command.program, command.args, {
    cwd: run.cwd ?? '/',
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let why: string | undefined;
  const kill = (reason: string): void => {
    why ??= reason;
    child.kill('SIGKILL');
  };
  const abort = (): void => kill('cancelled');
  run.signal?.addEventListener('abort', abort);
  if (run.signal?.aborted) abort();
  let overdue = false;
  const timer = setTimeout(() => {
    overdue = true;
    kill(`it did not end within ${run.deadlineMs} ms`);
  }, run.deadlineMs);
  const watch = child.pid === undefined ? undefined : new MemoryWatch(child.pid, limits.memoryBytes, kill);
  let [stderr, output] = ['', 0];
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.length;
    if (output > MAX_OUTPUT) kill(`it said more than ${MAX_OUTPUT} bytes`);
    else run.onOutput?.(chunk);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < MAX_STDERR) stderr += text;
  });
  child.on('error', ({ message }) => {
    why ??= message;
  });
  child.on('close', (code) => {
    clearTimeout(timer);
    watch?.[Symbol.dispose]();
    run.signal?.removeEventListener('abort', abort);
    const status = why === undefined ? (code ?? undefined) : undefined;
    resolve({ status, overdue, stderr, ...(status === undefined && { why: why ?? 'it was killed' }) });
  });
  return promise;
}

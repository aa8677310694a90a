/** Programs that run in a mount namespace of their own, as any user can make one, for tests. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';

/** Gives back what it is told, which shows that it runs by now. */
const CAT = '/usr/bin/cat';

/** As a user without any right makes one; where that is not let, as root. */
const WAYS = [['-Urm'], ['-m']] as const;
const way = WAYS.find(
  (flags) => spawnSync('unshare', [...flags, 'mount', '-t', 'tmpfs', 'x', '/mnt']).status === 0,
);

/** For `need`: what `runIn` cannot do without. */
export const MOUNT_NAMESPACES = {
  what: 'mount namespaces',
  there: way !== undefined,
  get: 'run as root, or let users make namespaces (sysctl kernel.unprivileged_userns_clone=1), with util-linux',
};

/** A program that only waits, with `tail` behind its end, where nothing reads it. */
export function writeProgram(path: string, tail: string): void {
  writeFileSync(path, Buffer.concat([readFileSync(CAT), Buffer.from(tail)]), { mode: 0o755 });
}

/** A process that ends with the scope (`await using`). */
export class RunningProgram implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.pid = child.pid ?? 0;
  }

  /** Runs what `writeProgram` wrote. */
  static run(path: string): Promise<RunningProgram> {
    return RunningProgram.start(spawn(path, [], { argv0: 'cat', stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /**
   * Runs `program` in a mount namespace of its own once `script`, for bash, is done there, with `$1` and so on from
   * `words`.
   */
  static runIn(script: string, program: string, ...words: readonly string[]): Promise<RunningProgram> {
    const line = `set -e; ${script}; exec -a cat "$0"`;
    const args = [...(way ?? []), 'bash', '-c', line, program, ...words];
    return RunningProgram.start(spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  private static async start(child: ChildProcess): Promise<RunningProgram> {
    const program = new RunningProgram(child);
    child.stdin?.write('here\n');
    const gone = once(child, 'exit').then(([code]) => {
      throw new Error(`the program ended (${code}) before it ran`);
    });
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), gone]);
    gone.catch(() => undefined);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}

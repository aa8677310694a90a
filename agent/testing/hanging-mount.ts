/** A mount whose file system stops answering (`fuse-server.ts`), in a process of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('./fuse-server.ts', import.meta.url));

export class HangingMount implements AsyncDisposable {
  private readonly directory: string;
  private readonly server: ChildProcess;

  private constructor(directory: string, server: ChildProcess) {
    this.directory = directory;
    this.server = server;
  }

  /** What a test needs of the machine for this (`test/need.ts`). */
  static async need(): Promise<{ what: string; there: boolean; get: string }> {
    const there = await HangingMount.isPossible();
    return { what: 'FUSE', there, get: 'run as root where /dev/fuse is there (modprobe fuse)' };
  }

  private static async isPossible(): Promise<boolean> {
    const directory = mkdtempSync(join(tmpdir(), 'lazaret-fuse-'));
    try {
      accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
      await (await HangingMount.at(directory, 'dead'))[Symbol.asyncDispose]();
      return true;
    } catch {
      return false;
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  /** `dead` answers nothing, `read` no call that reads its files `one` and `two` or takes one of them away. */
  static async at(directory: string, mode: 'dead' | 'read'): Promise<HangingMount> {
    mkdirSync(directory, { recursive: true });
    const server = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', SERVER, directory, mode],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const mounted = once(createInterface(server.stdout), 'line');
    const failed = once(server, 'exit').then(() => Promise.reject(new Error('FUSE cannot be mounted')));
    failed.catch(() => undefined);
    await Promise.race([mounted, failed]);
    return new HangingMount(directory, server);
  }

  /** All that waited for it fails, and goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.server, 'exit');
    this.server.kill('SIGKILL');
    await gone;
    execFileSync('umount', ['--lazy', this.directory]);
  }
}

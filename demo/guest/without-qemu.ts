/**
 * Where no virtual machine can run: the same files in a folder of this machine, with the agent as an ordinary
 * process that serves this folder as its guest over a unix socket, and the implant as a process of this machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { IMPLANT_PATH, RUNNING_IMPLANT_PATH } from '../samples.ts';
import type { DemoGuest } from './guest.ts';

export interface FolderGuestRequest {
  /** The guest's files. */
  readonly tree: string;
  /** For the socket and the agent's state; removed with the guest. */
  readonly directory: string;
  readonly signal?: AbortSignal;
}

/** Runs from source and from dist/ alike. */
const AGENT = fileURLToPath(new URL(`../../agent/main${extname(import.meta.filename)}`, import.meta.url));

export async function startFolderGuest(request: FolderGuestRequest): Promise<FolderGuest> {
  const guest = new FolderGuest(request);
  try {
    await guest.start();
    return guest;
  } catch (error) {
    await guest.close();
    throw error;
  }
}

export class FolderGuest implements DemoGuest {
  readonly kind = 'the agent as a process of this machine, over a unix socket';
  readonly socket: string;
  private readonly tree: string;
  private readonly directory: string;
  private readonly children: ChildProcess[] = [];
  private readonly onExit = (): void => this.endNow();

  constructor({ tree, directory, signal }: FolderGuestRequest) {
    this.tree = tree;
    this.directory = directory;
    this.socket = join(directory, 'agent.sock');
    process.once('exit', this.onExit);
    signal?.addEventListener('abort', this.onExit, { once: true });
  }

  async start(): Promise<void> {
    await this.startImplant();
    await this.startAgent();
  }

  async read(path: string): Promise<Buffer | undefined> {
    try {
      return readFileSync(join(this.tree, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Of the processes that run something below the folder; their paths as seen from there. */
  async executables(): Promise<string[]> {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.flatMap((pid) => {
      const path = executableOf(pid);
      return path?.startsWith(`${this.tree}/`) ? [path.slice(this.tree.length)] : [];
    });
  }

  async close(): Promise<void> {
    const exits = this.children
      .filter((child) => child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      .map((child) => once(child, 'exit'));
    this.endNow();
    await Promise.all(exits);
    rmSync(this.directory, { recursive: true, force: true });
    process.off('exit', this.onExit);
  }

  /** A copy is started and its file removed: from then on only /proc knows what runs there. */
  private async startImplant(): Promise<void> {
    const copy = join(this.tree, RUNNING_IMPLANT_PATH);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(join(this.tree, IMPLANT_PATH), copy);
    // 'spawn' comes when the program has taken the place of the child's copy of this process.
    await once(this.spawn(copy, ['3600'], 'sleep'), 'spawn');
    rmSync(copy);
  }

  private async startAgent(): Promise<void> {
    const state = join(this.directory, 'agent-state');
    const agent = this.spawn(process.execPath, [
      ...['--disable-warning=ExperimentalWarning', AGENT],
      ...['--listen', `unix:${this.socket}`, '--root', this.tree, '--state', state],
    ]);
    const said: string[] = [];
    for await (const line of createInterface({ input: agent.stderr as Readable })) {
      if (line.includes(this.socket)) {
        agent.stderr?.resume();
        return;
      }
      said.push(line);
    }
    throw new Error(`the agent did not start:\n${said.join('\n')}`);
  }

  private spawn(file: string, args: readonly string[], argv0 = file): ChildProcess {
    const child = spawn(file, args, { argv0, stdio: ['ignore', 'ignore', 'pipe'] });
    this.children.push(child);
    return child;
  }

  private endNow(): void {
    for (const child of this.children) child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function executableOf(pid: string): string | undefined {
  try {
    return readlinkSync(join('/proc', pid, 'exe'));
  } catch (error) {
    // Gone meanwhile, a kernel thread, or somebody else's.
    if (['ENOENT', 'EACCES', 'EPERM', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return undefined;
    throw error;
  }
}

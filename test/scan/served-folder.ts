/** A guest for whole scans: a folder of this machine that the real agent serves, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { readAttributes, setAttribute } from '../../agent/linux/xattr.ts';
import { writeProgram } from '../../agent/testing/namespace.ts';
import type { InstructionName } from '../../protocol/index.ts';

const AGENT = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));
/** Directories of a system, whatever the umask is: who owns its `/` alone can change them. */
const ROOTS_ALONE = 0o755;
const SLEEP = '/usr/bin/sleep';

/** What the rule of these tests looks for, and a file that is known by its hash alone. */
export const MARKER = ['lazaret', 'scan', 'test', 'marker'].join('-');
export const KNOWN_BY_HASH = 'known by nothing but its hash\n';
/** The EICAR test file, put together here so that no antivirus takes this file for it. */
export const EICAR = [
  'X5O!P%@AP[4\\PZX54(P^)7CC)7}',
  '$EICAR-STANDARD-',
  'ANTIVIRUS-TEST-FILE!',
  '$H+H*',
].join('');

export class ServedFolder implements AsyncDisposable {
  /** Everything of one test lies in it. */
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'lazaret-scan-')));
  /** The guest's `/`. */
  readonly root = join(this.directory, 'root');
  readonly socket = join(this.directory, 'agent.sock');
  private readonly denied: readonly InstructionName[];
  private readonly processes: ChildProcess[] = [];
  private agent: ChildProcess | undefined;

  private constructor(denied: readonly InstructionName[]) {
    this.denied = denied;
    mkdirSync(this.root, { mode: ROOTS_ALONE });
  }

  /** `denied`: what the guest's administrator does not let be done. */
  static async serve({ denied = [] }: { denied?: readonly InstructionName[] } = {}): Promise<ServedFolder> {
    const folder = new ServedFolder(denied);
    await folder.startAgent();
    return folder;
  }

  /** The host's path of a path in the guest. */
  at(path: string | Buffer): Buffer {
    return Buffer.concat([Buffer.from(this.root), Buffer.from(path)]);
  }

  plant(path: string | Buffer, content: string | Buffer, mode = 0o644): Buffer {
    const place = this.at(path);
    mkdirSync(place.subarray(0, place.lastIndexOf('/')), { recursive: true, mode: ROOTS_ALONE });
    writeFileSync(place, content, { mode });
    return place;
  }

  /** A program that only sleeps, with `tail` behind its end, where nothing reads it. */
  plantProgram(path: string, tail: string): Buffer {
    return this.plant(path, Buffer.concat([readFileSync(SLEEP), Buffer.from(tail)]), 0o755);
  }

  /** A program that waits, and says when it runs (`RunningProgram`). */
  plantWaiting(path: string, tail: string): void {
    this.plant(path, '');
    writeProgram(this.at(path).toString(), tail);
    chmodSync(this.at(path), 0o755);
  }

  /** Runs a planted program; resolves when it runs. */
  async run(path: string): Promise<ChildProcess> {
    const child = spawn(this.at(path).toString(), ['3600'], { argv0: 'sleep', stdio: 'ignore' });
    this.processes.push(child);
    await once(child, 'spawn');
    return child;
  }

  has(path: string | Buffer): boolean {
    return existsSync(this.at(path));
  }

  text(path: string | Buffer): string {
    return readFileSync(this.at(path), 'utf8');
  }

  async startAgent(): Promise<void> {
    const config = join(this.directory, 'agent.yaml');
    writeFileSync(config, JSON.stringify({ deny: this.denied }));
    const state = join(this.directory, 'agent-state');
    const agent = spawn(
      process.execPath,
      [
        ...['--disable-warning=ExperimentalWarning', AGENT, '--config', config],
        ...['--listen', `unix:${this.socket}`, '--root', this.root, '--state', state],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.agent = agent;
    this.processes.push(agent);
    await untilServing(agent.stderr as Readable);
  }

  /** As a crash of it: at once, nothing tidied up. */
  async killAgent(): Promise<void> {
    if (this.agent) await end(this.agent);
  }

  /** As systemd ends it: it is asked to. How it ended. */
  async endAgent(): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    const agent = this.agent as ChildProcess;
    const gone = once(agent, 'exit');
    agent.kill('SIGTERM');
    const [code, signal] = await gone;
    return { code, signal };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.processes.map(end));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function untilServing(log: Readable): Promise<void> {
  const said: string[] = [];
  for await (const line of createInterface({ input: log })) {
    said.push(line);
    if (!line.includes('serving ')) continue;
    log.resume();
    return;
  }
  throw new Error(`the agent did not start:\n${said.join('\n')}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** The user's extended attributes of a file, by name. */
export function attributesOf(path: Buffer): Record<string, string> {
  return withDescriptor(path, (descriptor) =>
    Object.fromEntries(
      readAttributes(descriptor)
        .map(({ name, value }) => [name.toString(), value.toString()] as const)
        .filter(([name]) => name.startsWith('user.')),
    ),
  );
}

/** Sets one; false where the file system has none. */
export function setUserAttribute(path: Buffer, name: string, value: string): boolean {
  return withDescriptor(path, (descriptor) => {
    try {
      setAttribute(descriptor, { name: Buffer.from(name), value: Buffer.from(value) });
      return true;
    } catch {
      return false;
    }
  });
}

function withDescriptor<Result>(path: Buffer, use: (descriptor: number) => Result): Result {
  const descriptor = openSync(path, 'r');
  try {
    return use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

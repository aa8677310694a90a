/** The engine in a process of its own, so that its memory and CPU are the daemon's alone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BenchGuest } from './guest.ts';
import { cpuSeconds } from './processes.ts';

/** What a bench changes of the default settings. */
export interface EngineSettings {
  readonly plugins: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Hashes that agents tell may spare them the transfer. Default: as policy has it. */
  readonly agentHashes?: boolean;
  /** So may listings of other guests. Default: as policy has it. */
  readonly cloneLines?: boolean;
}

/** What the engine's process says of the scans of one request, all of which went on at once. */
export interface ScanFigures {
  readonly files: number;
  readonly bytes: number;
  readonly findings: number;
  readonly unscanned: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly hostCpu: number;
  /** The most that was resident meanwhile: in the daemon, and in its engine processes together. */
  readonly daemonMegabytes: number;
  readonly enginesMegabytes: number;
}

export interface GuestFigures extends ScanFigures {
  readonly guestCpu: number;
}

/** The identity of the first engine: an agent obeys one host. */
let identity: string | undefined;

const ENTRY = fileURLToPath(new URL('./engine-process.js', import.meta.url));

export class Engine implements AsyncDisposable {
  /** Seconds until it was ready to scan. */
  readonly setUp: number;
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private readonly state: string;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, state: string, setUp: number) {
    this.child = child;
    this.lines = lines;
    this.state = state;
    this.setUp = setUp;
  }

  /** Starts with a state directory that is empty but for the identity, which guests remember. */
  static async start(settings: EngineSettings): Promise<Engine> {
    const state = mkdtempSync(join(tmpdir(), 'lazaret-bench-state-'));
    if (identity !== undefined) cpSync(identity, join(state, 'identity'), { recursive: true });
    const child = spawn(
      process.execPath,
      ['--max-semi-space-size=8', ENTRY, JSON.stringify({ ...settings, state })],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const { setUp } = await reply<{ setUp: number }>(lines);
    identity ??= keep(join(state, 'identity'));
    return new Engine(child, lines, state, setUp);
  }

  /** Scans all guests at once. */
  async scan(guests: readonly BenchGuest[]): Promise<GuestFigures> {
    const cpu = () => guests.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
    const before = cpu();
    this.child.stdin?.write(`${JSON.stringify(guests.map(({ socket }) => socket))}\n`);
    const figures = await reply<ScanFigures>(this.lines);
    return { ...figures, guestCpu: cpu() - before };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.stdin?.end();
    await ended;
    rmSync(this.state, { recursive: true });
  }
}

function keep(directory: string): string {
  const kept = mkdtempSync(join(tmpdir(), 'lazaret-bench-identity-'));
  cpSync(directory, kept, { recursive: true });
  process.once('exit', () => rmSync(kept, { recursive: true }));
  return kept;
}

async function reply<Message>(lines: AsyncIterator<string>): Promise<Message> {
  const { value, done } = await lines.next();
  if (done) throw new Error('the engine process ended');
  return JSON.parse(value) as Message;
}

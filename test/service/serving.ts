/** `lazaret serve` as an operator has it: a process of its own with a configuration file, asked by its API and by the command line. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { connectDaemon, type DaemonClient } from '../../core/service/client.ts';
import type { ScanView, VmView } from '../../core/service/views.ts';
import { packageRoot } from '../../demo/package-root.ts';

const NODE = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(packageRoot, 'dist', 'core', 'main.js'),
];
const START_MS = 60_000;
const AGAIN_MS = 50;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Serving implements AsyncDisposable {
  readonly configuration: string;
  readonly events: string;
  client!: DaemonClient;
  private readonly directory: string;
  private readonly child: ChildProcess;
  private log = '';

  private constructor(directory: string) {
    this.directory = directory;
    this.configuration = join(directory, 'lazaret.yaml');
    this.events = join(directory, 'events.ndjson');
    this.child = spawn(NODE[0] ?? '', [...NODE.slice(1), 'serve', '--config', this.configuration], {
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
  }

  /** Resolves when it answers. `settings`: as in a configuration file, besides its places. */
  static async start(directory: string, settings: object): Promise<Serving> {
    const serving = Serving.begin(directory, settings);
    await serving.answers();
    return serving;
  }

  /** Does not wait for it. */
  static begin(directory: string, settings: object): Serving {
    mkdirSync(join(directory, 'run'), { recursive: true, mode: 0o700 });
    configure(directory, settings);
    return new Serving(directory);
  }

  /** Other settings, which a reload takes up. */
  configure(settings: object): void {
    configure(this.directory, settings);
  }

  /** Resolves when the log says so, from now on or before. */
  async says(words: RegExp): Promise<void> {
    await this.until(`to say ${words}`, async () => words.test(this.log));
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Its log. */
  get words(): string {
    return this.log;
  }

  signal(signal: 'SIGHUP' | 'SIGTERM' | 'SIGKILL'): void {
    this.child.kill(signal);
  }

  /** The exit code. */
  async stopped(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  /** The command line beside it. */
  run(...args: readonly string[]): Promise<Ran> {
    const command = [...NODE.slice(1), ...args, '--config', this.configuration];
    return new Promise((resolve) => {
      execFile(NODE[0] ?? '', command, { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
      });
    });
  }

  /** What came out of this host so far. */
  told(): Record<string, unknown>[] {
    return readFileSync(this.events, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Asks until the VM is so. */
  vm(name: string, isSo: (vm: VmView) => boolean): Promise<VmView> {
    return this.until(`${name} to be as expected`, async () => {
      const vm = (await this.client.vms()).find((one) => one.name === name);
      return vm && isSo(vm) ? vm : undefined;
    });
  }

  /** Asks until a scan of the VM has ended that this holds for. */
  scanned(name: string, isSo: (scan: ScanView) => boolean): Promise<ScanView> {
    return this.until(`${name} to be scanned`, async () => {
      const { items } = await this.client.scans({ vm: name, limit: 50 });
      return items.find((scan) => scan.finishedAt !== undefined && isSo(scan));
    });
  }

  /** Asks again and again; whoever waits too long is ended by its test, and the log tells why. */
  async until<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
    for (;;) {
      const answer = await ask();
      if (answer) return answer;
      if (this.child.exitCode !== null) throw new Error(`it ended before ${what}:\n${this.log}`);
      await pause(AGAIN_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal('SIGTERM');
    await this.stopped();
  }

  /** Resolves when it does. */
  async answers(): Promise<void> {
    const end = Date.now() + START_MS;
    for (;;) {
      const client = await connectDaemon(join(this.directory, 'run', 'lazaret.sock'));
      if (client) {
        this.client = client;
        return;
      }
      if (this.child.exitCode !== null || Date.now() > end)
        throw new Error(`it does not start:\n${this.log}`);
      await pause(AGAIN_MS);
    }
  }
}

function configure(directory: string, settings: object): void {
  const places = {
    state: join(directory, 'state'),
    api: { socket: join(directory, 'run', 'lazaret.sock') },
    events: { file: { path: join(directory, 'events.ndjson') } },
  };
  writeFileSync(join(directory, 'lazaret.yaml'), stringify({ ...places, ...settings }), { mode: 0o600 });
}

/**
 * A real clamd for a test: its own folder, configuration and databases, running as a user of its own when the
 * test is run by root. `SIGSTOP`, `SIGCONT` and `SIGKILL` go to `pid`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Need, need } from './need.ts';

/** The one signature that finds all of clamav-testfiles, as the MD5 and size of the program that is in them all. */
export const TEST_FILES_SIGNATURE = 'aa15bcf478d165efd2065190eb473bcb:544:ClamAV-Test-File\n';
export const TEST_FILES = '/usr/share/clamav-testfiles';

const NEEDS: readonly Need[] = [
  { program: 'clamd', get: 'apt-get install clamav-daemon' },
  { file: join(TEST_FILES, 'clam.exe'), get: 'apt-get install clamav-testfiles' },
];
const START_MS = 30_000;
const AGAIN_MS = 20;

export const hasClamd = (): boolean => need(...NEEDS);

export interface ClamdSetting {
  /** Database files by name; by default the test files' signature. */
  readonly databases?: Readonly<Record<string, string>>;
  /** Lines of clamd.conf that come in addition or instead. */
  readonly config?: Readonly<Record<string, string>>;
}

export class TestClamd implements AsyncDisposable {
  readonly directory: string;
  readonly socket: string;
  readonly configFile: string;
  readonly databases: string;
  private child: ChildProcess | undefined;

  private constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'lazaret-clamd-'));
    this.socket = join(this.directory, 'clamd.sock');
    this.configFile = join(this.directory, 'clamd.conf');
    this.databases = join(this.directory, 'databases');
  }

  static async start({ databases, config = {} }: ClamdSetting = {}): Promise<TestClamd> {
    const clamd = new TestClamd();
    chmodSync(clamd.directory, 0o755);
    mkdirSync(clamd.databases);
    for (const [name, text] of Object.entries(databases ?? { 'test.hdb': TEST_FILES_SIGNATURE })) {
      writeFileSync(join(clamd.databases, name), text);
    }
    clamd.configure(config);
    await clamd.launch();
    return clamd;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error('this clamd does not run');
    return this.child.pid;
  }

  /** The path of one of Debian's test files. */
  sample(name: string): string {
    return join(TEST_FILES, name);
  }

  /** Holds from the next start. */
  configure(config: Readonly<Record<string, string>>): void {
    const all: Record<string, string> = {
      Foreground: 'yes',
      LocalSocket: this.socket,
      LocalSocketMode: '660',
      DatabaseDirectory: this.databases,
      LogFile: join(this.directory, 'clamd.log'),
      MaxThreads: '4',
      AlertExceedsMax: 'yes',
      ...(process.getuid?.() === 0 && { User: 'clamav' }),
      ...config,
    };
    const lines = Object.entries(all).map(([key, value]) => `${key} ${value}\n`);
    writeFileSync(this.configFile, lines.join(''));
    if (process.getuid?.() === 0) {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(execFileSync('id', [flag, 'clamav'], { encoding: 'utf8' })),
      );
      chownSync(this.directory, uid as number, gid as number);
    }
  }

  async launch(): Promise<void> {
    rmSync(this.socket, { force: true });
    const child = spawn('clamd', [`--config-file=${this.configFile}`], {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    this.child = child;
    for (const end = Date.now() + START_MS; !(await this.takesConnections()); await pause(AGAIN_MS)) {
      if (child.exitCode !== null || Date.now() > end)
        throw new Error(`clamd does not start:\n${this.log()}`);
    }
  }

  async kill(): Promise<void> {
    const child = this.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  log(): string {
    const file = join(this.directory, 'clamd.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private takesConnections(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.socket, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }
}

/** What a user would run instead: `yara` and `clamdscan`, straight on the same tree. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cpuSeconds, cpuSecondsOfEnded } from './processes.ts';

/** Wall and CPU seconds. */
export interface PeerFigures {
  readonly seconds: number;
  readonly cpu: number;
}

const RULE_FILE = /\.yara?$/;
const OUTPUT_BYTES = 1 << 28;

/** `yara -r -p 2`, links not followed; undefined where it is not installed. Each rule file gets a namespace of its own. */
export function timeYara(rules: string, root: string): PeerFigures | undefined {
  const files = ruleFiles(rules).map((file, index) => `r${index}:${file}`);
  return timed('yara', ['-r', '-N', '-p', '2', '-w', ...files, root], [0]);
}

/** Runs a program to its end, one of `statuses`. */
function timed(
  program: string,
  args: readonly string[],
  statuses: readonly number[],
): PeerFigures | undefined {
  const [before, begun] = [cpuSecondsOfEnded(), performance.now()];
  const { error, status, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: OUTPUT_BYTES });
  if (error && 'code' in error && error.code === 'ENOENT') return undefined;
  if (error) throw error;
  if (!statuses.includes(status ?? -1)) {
    throw new Error(`${program} ended with ${status}: ${stderr.slice(0, 500)}`);
  }
  return { seconds: (performance.now() - begun) / 1000, cpu: cpuSecondsOfEnded() - before };
}

export function ruleFiles(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => RULE_FILE.test(name))
    .sort()
    .map((name) => join(path, name));
}

const TEST_SIGNATURE = 'aa15bcf478d165efd2065190eb473bcb:544:ClamAV-Test-File\n';

/** A clamd of our own, with one signature: real databases are to be had from their vendor only. */
export class Clamd implements AsyncDisposable {
  readonly socket: string;
  readonly pid: number;
  private readonly directory: string;
  private readonly stop: () => Promise<void>;

  private constructor(directory: string, socket: string, pid: number, stop: () => Promise<void>) {
    this.directory = directory;
    this.socket = socket;
    this.pid = pid;
    this.stop = stop;
  }

  /** Undefined where clamd is not installed. */
  static async start(): Promise<Clamd | undefined> {
    const directory = mkdtempSync(join(tmpdir(), 'lazaret-bench-clamd-'));
    chmodSync(directory, 0o755);
    writeFileSync(join(directory, 'test.hdb'), TEST_SIGNATURE);
    const socket = join(directory, 'clamd.sock');
    writeFileSync(join(directory, 'clamd.conf'), configuration(directory, socket));
    const child = spawn('clamd', ['--config-file', join(directory, 'clamd.conf')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = Promise.withResolvers<boolean>();
    child.once('error', () => exit.resolve(false));
    child.once('exit', () => exit.resolve(true));
    const listens = await Promise.race([isListening(child.stdout), exit.promise.then(() => false)]);
    if (!listens) {
      rmSync(directory, { recursive: true });
      return undefined;
    }
    await answered(socket);
    return new Clamd(directory, socket, child.pid as number, async () => {
      child.kill();
      await exit.promise;
    });
  }

  /** Of the detector that has it look at contents. */
  get options(): Readonly<Record<string, string>> {
    const config = join(this.directory, 'clamd.conf');
    return { socket: this.socket, config, databaseDirectory: this.directory };
  }

  /** `clamdscan --multiscan --fdpass`; the CPU is clamd's too. Undefined where it is not installed. */
  time(root: string): PeerFigures | undefined {
    const before = cpuSeconds(this.pid);
    const config = join(this.directory, 'clamd.conf');
    const args = ['--multiscan', '--fdpass', '--quiet', `--config-file=${config}`, root];
    const figures = timed('clamdscan', args, [0, 1]);
    return figures && { ...figures, cpu: figures.cpu + cpuSeconds(this.pid) - before };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true });
  }
}

const configuration = (directory: string, socket: string): string => `
Foreground yes
DatabaseDirectory ${directory}
LocalSocket ${socket}
MaxThreads 4
MaxDirectoryRecursion 100
AlertExceedsMax yes
`;

/** Says that it is ready by the last line of its start; what it prints later has to be read too. */
async function isListening(output: NodeJS.ReadableStream): Promise<boolean> {
  for await (const line of createInterface(output)) {
    if (!line.startsWith('Self checking')) continue;
    output.resume();
    return true;
  }
  return false;
}

/** Resolves when it takes connections. */
function answered(socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve();
    });
    connection.once('error', reject);
  });
}

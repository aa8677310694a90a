/** `lazaret scan` in a process of its own that has little memory, and what it came to. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadIdentity } from '../../core/channel/identity.ts';
import { packageRoot } from '../../demo/package-root.ts';
import { ScriptedAgent } from '../channel/scripted-agent.ts';
import { type Flood, flooding } from './flooding-guest.ts';

export const PROGRAM = join(packageRoot, 'dist', 'core', 'main.js');
/** Of V8's heap, in MB: what a scan of an honest guest needs several times over, and floods many times over. */
const HEAP = 256;
/** In memory, where a directory for it is: floods of findings are not to be waited for by a disk. */
const PLACE = '/dev/shm';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The most that was resident at a time, in MiB. */
  readonly peak: number;
}

export interface FloodedOptions {
  /** YARA rules. */
  readonly rules?: string;
  /** SHA-256s of malware. */
  readonly hashes?: readonly string[];
}

/** Written by the process itself as it ends: who looks from outside may come too late. */
const TELL_PEAK = `import { writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS)));
`;

export class FloodedScan implements AsyncDisposable {
  private readonly directory: string;
  private readonly agent: ScriptedAgent;

  private constructor(directory: string, agent: ScriptedAgent) {
    this.directory = directory;
    this.agent = agent;
  }

  static async of(flood: Flood, options: FloodedOptions = {}): Promise<FloodedScan> {
    const directory = mkdtempSync(join(PLACE, 'lazaret-flood-'));
    for (const name of ['rules', 'state']) mkdirSync(join(directory, name), { mode: 0o700 });
    const { rules = 'rule Never { condition: false }', hashes = ['0'.repeat(64)] } = options;
    writeFileSync(join(directory, 'rules', 'flood.yar'), rules);
    writeFileSync(join(directory, 'hashes.txt'), hashes.map((hash) => `${hash} Flood_Test\n`).join(''));
    writeFileSync(join(directory, 'peak.mjs'), TELL_PEAK);
    const keys = await loadIdentity(join(directory, 'identity'));
    const agent = await ScriptedAgent.start(join(directory, 'agent.sock'), { keys, ...flooding(flood) });
    return new FloodedScan(directory, agent);
  }

  run(...args: readonly string[]): Promise<Ran> {
    const at = (name: string) => join(this.directory, name);
    const node = [`--max-old-space-size=${HEAP}`, '--max-semi-space-size=8', '--import', at('peak.mjs')];
    const scan = ['scan', '--socket', at('agent.sock'), '--state', at('state'), '--rules', at('rules')];
    const all = [...node, '--disable-warning=ExperimentalWarning', PROGRAM, ...scan];
    return this.start([...all, '--hashes', at('hashes.txt'), ...args]);
  }

  private start(command: readonly string[]): Promise<Ran> {
    const peakFile = join(this.directory, 'peak');
    const env = { ...process.env, PEAK_FILE: peakFile };
    rmSync(peakFile, { force: true });
    return new Promise((resolve) => {
      execFile(process.execPath, command, { env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
        const code = error ? Number(error.code ?? -1) : 0;
        resolve({ code, stdout, stderr, peak: peakIn(peakFile) });
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A process that was ended by V8 told nothing. */
function peakIn(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8')) / 1024;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

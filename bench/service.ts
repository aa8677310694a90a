/** The service as a process of its own: its API while it scans, and what it takes when nothing happens. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectDaemon, type DaemonClient } from '../core/service/client.ts';
import type { Load } from './api-load.ts';
import { type BenchGuest, startGuest } from './guest.ts';
import { cpuSeconds, peakMegabytes, residentMegabytes } from './processes.ts';
import { figure, heading, line } from './table.ts';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../core/main.js', import.meta.url));
const load = fileURLToPath(new URL('./api-load.js', import.meta.url));
const FLAGS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=8'];
const GUESTS = 10;
const RATE = 500;
const SECONDS = 15;
const IDLE_SECONDS = 20;
const AGAIN_MS = 50;
const MOST_MEGABYTES = 256 + 2 * GUESTS;

export async function benchService(tree: string, rules: string): Promise<void> {
  heading(`the service, ${GUESTS} guests`);
  await withGuests(tree, (guests) => benchApi(guests, rules));
  // Others, since an agent obeys one host.
  await withGuests(tree, (guests) => benchMemory(guests, rules));
}

async function withGuests(
  tree: string,
  work: (guests: readonly BenchGuest[]) => Promise<void>,
): Promise<void> {
  await using running = new AsyncDisposableStack();
  const guests: BenchGuest[] = [];
  for (let count = 0; count < GUESTS; count++) guests.push(running.use(await startGuest(tree)));
  await work(guests);
}

/** All guests at once, which is more than a host of this size would be set to. */
async function benchApi(guests: readonly BenchGuest[], rules: string): Promise<void> {
  await using service = await Service.start(guests, rules, { guestsAtOnce: GUESTS });
  await idle(service);
  tell('API, nothing else going on', await service.load());
  for (const { name } of await service.client.vms()) {
    await service.client.startScan({ vm: name, fresh: true });
  }
  await service.scanning(GUESTS);
  tell(`API, ${GUESTS} scans running`, await service.load());
  line(
    `  ${await service.running()} of them still ran when that had ended; ${residentMegabytes(service.pid).toFixed(0)} MB resident`,
  );
}

/** As many at once as the service takes by itself. */
async function benchMemory(guests: readonly BenchGuest[], rules: string): Promise<void> {
  await using service = await Service.start(guests, rules, {});
  figure('resident, all guests connected', residentMegabytes(service.pid), ' MB', 'at most', MOST_MEGABYTES);
  const begun = performance.now();
  for (const { name } of await service.client.vms()) await service.client.startScan({ vm: name });
  while ((await service.ended()) < GUESTS) await pause(AGAIN_MS);
  line(`  ${GUESTS} first scans took ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  figure('resident at most meanwhile', peakMegabytes(service.pid), ' MB', 'at most', MOST_MEGABYTES);
}

async function idle(service: Service): Promise<void> {
  const before = cpuSeconds(service.pid);
  await pause(IDLE_SECONDS * 1000);
  const share = (100 * (cpuSeconds(service.pid) - before)) / IDLE_SECONDS;
  line(`  idle, all guests connected: ${share.toFixed(1)} % of a core`);
}

function tell(what: string, { asked, failed, p50, p99, most }: Load): void {
  line(
    `  ${what}: ${asked} requests at ${RATE}/s, ${failed} failed; p50 ${p50.toFixed(1)} ms, most ${most.toFixed(0)} ms`,
  );
  figure('  p99', p99, ' ms', 'at most', 50);
}

export class Service implements AsyncDisposable {
  readonly client: DaemonClient;
  private readonly child: ChildProcess;
  private readonly directory: string;

  private constructor(child: ChildProcess, directory: string, client: DaemonClient) {
    this.child = child;
    this.directory = directory;
    this.client = client;
  }

  /** Resolves when all guests are connected. `scan`: as in a configuration; `hashes`: SHA-256s of malware. */
  static async start(
    guests: readonly BenchGuest[],
    rules: string,
    scan: object,
    { hashes = [] }: { readonly hashes?: readonly string[] } = {},
  ): Promise<Service> {
    const directory = mkdtempSync(join(tmpdir(), 'lazaret-bench-service-'));
    const socket = join(directory, 'run', 'lazaret.sock');
    mkdirSync(join(directory, 'run'), { mode: 0o700 });
    const list = join(directory, 'hashes.txt');
    writeFileSync(list, hashes.map((hash) => `${hash} Bench\n`).join(''));
    const settings = {
      state: join(directory, 'state'),
      api: { socket },
      scan,
      schedule: { onFirstSight: false },
      plugins: {
        yara: { rules: [rules], engine: 'native' },
        ...(hashes.length > 0 && { hashset: { lists: [list] } }),
      },
      vms: guests.map((guest, index) => ({ name: `guest-${index}`, socket: guest.socket })),
    };
    const file = join(directory, 'lazaret.yaml');
    writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
    const child = spawn(process.execPath, [...FLAGS, main, 'serve', '--config', file], { stdio: 'ignore' });
    for (;;) {
      const client = await connectDaemon(socket);
      if (client) {
        const service = new Service(child, directory, client);
        await service.connected(guests.length);
        return service;
      }
      if (child.exitCode !== null) throw new Error('the service does not start: lazaret serve tells why');
      await pause(AGAIN_MS);
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async connected(count: number): Promise<void> {
    for (;;) {
      const vms = await this.client.vms();
      if (vms.filter(({ connection }) => connection.state === 'connected').length === count) return;
      await pause(AGAIN_MS);
    }
  }

  async scanning(count: number): Promise<void> {
    while ((await this.running()) < count) await pause(AGAIN_MS);
  }

  async ended(): Promise<number> {
    return (await this.client.scans({ limit: 50, state: 'finished' })).items.length;
  }

  async running(): Promise<number> {
    return (await this.client.scans({ limit: 50, state: 'running' })).items.length;
  }

  async load(): Promise<Load> {
    const { stdout } = await run(process.execPath, [
      load,
      join(this.directory, 'run', 'lazaret.sock'),
      String(RATE),
      String(SECONDS),
    ]);
    return JSON.parse(stdout) as Load;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

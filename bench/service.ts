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
import { cpuSeconds, residentMegabytes } from './processes.ts';
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

export async function benchService(tree: string, rules: string): Promise<void> {
  heading(`the service, ${GUESTS} guests`);
  await using running = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'lazaret-bench-service-'));
  running.defer(() => rmSync(directory, { recursive: true, force: true }));
  const guests: BenchGuest[] = [];
  for (let count = 0; count < GUESTS; count++) guests.push(running.use(await startGuest(tree)));
  const service = running.use(await Service.start(directory, guests, rules));
  await service.connected(GUESTS);
  line(`  resident with all guests connected: ${residentMegabytes(service.pid).toFixed(0)} MB`);
  await idle(service);
  tell('API, nothing else going on', await service.load());
  line(`  resident after that: ${residentMegabytes(service.pid).toFixed(0)} MB`);
  for (const { name } of await service.client.vms())
    await service.client.startScan({ vm: name, fresh: true });
  tell(`API, ${GUESTS} scans asked for`, await service.load());
  const { items } = await service.client.scans({ limit: 50, state: 'running' });
  line(`  ${items.length} scans still ran when that had ended`);
  figure('service resident', residentMegabytes(service.pid), ' MB', 'at most', 256 + 2 * GUESTS);
}

async function idle(service: Service): Promise<void> {
  const before = cpuSeconds(service.pid);
  await pause(IDLE_SECONDS * 1000);
  const share = (100 * (cpuSeconds(service.pid) - before)) / IDLE_SECONDS;
  figure('idle, all guests connected', share, ' % of a core', 'at most', 1);
}

function tell(what: string, { asked, failed, p50, p99, most }: Load): void {
  line(
    `  ${what}: ${asked} requests at ${RATE}/s, ${failed} failed; p50 ${p50.toFixed(1)} ms, most ${most.toFixed(0)} ms`,
  );
  figure('  p99', p99, ' ms', 'at most', 50);
}

class Service implements AsyncDisposable {
  readonly client: DaemonClient;
  private readonly child: ChildProcess;
  private readonly socket: string;

  private constructor(child: ChildProcess, socket: string, client: DaemonClient) {
    this.child = child;
    this.socket = socket;
    this.client = client;
  }

  static async start(directory: string, guests: readonly BenchGuest[], rules: string): Promise<Service> {
    const socket = join(directory, 'run', 'lazaret.sock');
    mkdirSync(join(directory, 'run'), { mode: 0o700 });
    const settings = {
      state: join(directory, 'state'),
      api: { socket },
      scan: { guestsAtOnce: GUESTS },
      schedule: { onFirstSight: false },
      plugins: { yara: { rules: [rules], engine: 'native' } },
      vms: guests.map((guest, index) => ({ name: `guest-${index}`, socket: guest.socket })),
    };
    const file = join(directory, 'lazaret.yaml');
    writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
    const child = spawn(process.execPath, [...FLAGS, main, 'serve', '--config', file], { stdio: 'ignore' });
    for (;;) {
      const client = await connectDaemon(socket);
      if (client) return new Service(child, socket, client);
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

  async load(): Promise<Load> {
    const { stdout } = await run(process.execPath, [load, this.socket, String(RATE), String(SECONDS)]);
    return JSON.parse(stdout) as Load;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
  }
}

/** `lazaret scan` where a daemon runs: it scans, and tells here what it would have told there. */
import type { WireBytes } from '../../protocol/index.ts';
import type { Mode } from '../api/index.ts';
import type { EventSink } from '../events/sink.ts';
import type { DaemonClient } from '../service/client.ts';
import { DaemonError } from '../service/error.ts';
import type { ScanEvent, ScanView, VmView } from '../service/views.ts';
import { asked } from './daemon.ts';
import { UsageError } from './error.ts';
import { interruptible } from './interrupt.ts';
import { noEvents, type Run } from './run.ts';
import { notBegun, notScanned, reported, type ScanOutcome, tellInTurn } from './scan-outcome.ts';
import { harmless } from './text.ts';

export interface DaemonOrder {
  /** Default: as the daemon's policy has it for each VM. */
  readonly mode?: Mode;
  readonly roots: readonly WireBytes[];
  readonly dryRun: boolean;
  readonly fresh: boolean;
}

/** Scans that are asked for at once; the daemon has its own mind on how many are carried out. */
const AT_ONCE = 32;

/** The named VMs, or all that are on; gives the exit code. */
export async function scanByDaemon(run: Run, daemon: DaemonClient, order: DaemonOrder): Promise<number> {
  const vms = await choose(run, daemon);
  return interruptible(run, async (signal) => {
    const scan = new DaemonScan(run, daemon, order, signal);
    const lanes = new Lanes(AT_ONCE);
    const code = await tellInTurn(vms.map((vm) => lanes.run(() => scan.one(vm))));
    await scan.written;
    return code;
  });
}

async function choose(run: Run, daemon: DaemonClient): Promise<readonly VmView[]> {
  if (run.args.length > 0) return Promise.all([...new Set(run.args)].map((name) => asked(daemon.vm(name))));
  const vms = await daemon.vms();
  if (vms.length === 0) throw new UsageError('the daemon knows no VM: see "vms" in its configuration');
  for (const { name } of vms.filter(isOff)) run.note(`${harmless(name)}: is off, and so not scanned`);
  return vms.filter((vm) => !isOff(vm));
}

const isOff = ({ power }: VmView): boolean => power === 'off';

/** At most so many pieces of work at once, begun in their order. */
class Lanes {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(count: number) {
    this.free = count;
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}

class DaemonScan {
  private readonly run: Run;
  private readonly daemon: DaemonClient;
  private readonly order: DaemonOrder;
  private readonly signal: AbortSignal;
  private readonly events: EventSink;
  /** Events that are on their way to stdout: who reads there must not hold the daemon back. */
  written: Promise<void> = Promise.resolve();

  constructor(run: Run, daemon: DaemonClient, order: DaemonOrder, signal: AbortSignal) {
    this.run = run;
    this.daemon = daemon;
    this.order = order;
    this.signal = signal;
    this.events = run.json ? run.jsonEvents() : noEvents;
  }

  /** Does not reject. */
  async one(vm: VmView): Promise<ScanOutcome> {
    if (this.signal.aborted) return notBegun;
    const tracked = this.run.progress.begin(vm.name);
    try {
      const { id } = await this.daemon.startScan({ vm: vm.id, ...this.order });
      using _ = this.cancelOnInterrupt(id);
      // An interrupt ends the scan, not the following: how it ended is still to be told.
      for await (const event of this.daemon.followScan(id, new AbortController().signal)) {
        if (event.type === 'progress') tracked.update(event.progress);
        else if (event.type === 'ended') return this.ended(vm, event);
        else this.write(event.event);
      }
      throw new DaemonError('session-lost', 'the daemon stopped telling of the scan: see lazaret findings');
    } catch (error) {
      return notScanned(this.run, vm.name, error);
    } finally {
      tracked.end();
    }
  }

  private cancelOnInterrupt(id: string): Disposable {
    const cancel = () => {
      this.daemon.cancelScan(id).catch((error: unknown) => {
        // It may have ended meanwhile, which is told by itself.
        if (!(error instanceof DaemonError && error.code === 'wrong-state')) this.run.printError(error);
      });
    };
    this.signal.addEventListener('abort', cancel);
    if (this.signal.aborted) cancel();
    return { [Symbol.dispose]: () => this.signal.removeEventListener('abort', cancel) };
  }

  private write(event: Parameters<EventSink['emit']>[0]): void {
    this.written = this.written.then(() => this.events.emit(event));
    // Told when all is awaited in the end.
    this.written.catch(() => undefined);
  }

  private ended(vm: VmView, { scan, report }: Extract<ScanEvent, { type: 'ended' }>): ScanOutcome {
    if (report && scan.state === 'finished') return reported(this.run, report, scan.dryRun);
    return notScanned(this.run, vm.name, errorOf(scan));
  }
}

function errorOf({ state, error }: ScanView): DaemonError {
  if (error) return new DaemonError(error.code, error.message);
  if (state === 'cancelled') return new DaemonError('cancelled', 'the scan was cancelled');
  return new DaemonError(
    'no-report',
    `the daemon has no report of this scan, which is ${state}: see lazaret findings`,
  );
}

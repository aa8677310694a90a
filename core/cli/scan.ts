import { type Command, Option } from 'commander';
import { GuestPath } from '../../protocol/index.ts';
import type { Mode } from '../api/index.ts';
import type { Domain } from '../channel/session.ts';
import type { ScanProgress } from '../scan/report.ts';
import { daemonOf } from './daemon.ts';
import type { Engine } from './engine.ts';
import { UsageError } from './error.ts';
import { EXIT } from './exit.ts';
import { interruptible } from './interrupt.ts';
import { type Context, noEvents, perform, type Run } from './run.ts';
import { scanByDaemon } from './scan-by-daemon.ts';
import { notBegun, notScanned, reported, type ScanOutcome, tellInTurn } from './scan-outcome.ts';
import { checkOptions, type TargetOptions, targetOf } from './scan-target.ts';

interface ScanOptions extends TargetOptions {
  readonly path?: readonly string[];
  readonly mode?: Mode;
  readonly dryRun?: boolean;
  readonly fresh?: boolean;
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

export function registerScan(program: Command, context: Context): void {
  program
    .command('scan')
    .summary('look for malware in VMs, and act as policy allows')
    .description(
      'Looks for malware in the named VMs, or in all that are configured, and acts as policy allows.\n' +
        'Exits with 0: clean, 1: found, 2: something failed or was not scanned (also when something was found).',
    )
    .argument('[vm...]', 'names or ids of VMs')
    .option('--path <path>', 'look only here in the guest, with all below (may be repeated)', collect)
    .addOption(
      new Option('--mode <mode>', 'what is done about malware, instead of what policy says').choices([
        'detect',
        'contain',
        'delete',
      ]),
    )
    .option('--dry-run', 'show what would be done and do nothing')
    .option('--fresh', 'look at everything, also at what is known from before')
    .option('--socket <path>', 'scan the one guest behind this socket, without a configuration')
    .option('--name <name>', 'with --socket: what to call the guest')
    .option('--rules <path...>', 'with --socket: YARA rule files, or directories of them')
    .option('--hashes <file...>', 'with --socket: lists of hashes of known malware')
    .action(perform<ScanOptions>(context, (run) => scan(run, context), EXIT.incomplete));
}

async function scan(run: Run<ScanOptions>, context: Context): Promise<number> {
  const roots = rootsOf(run.options.path);
  const { mode: given, dryRun = false, fresh = false } = run.options;
  // A socket is scanned from here: no daemon need know of it.
  const daemon = run.options.socket === undefined ? await daemonOf(run, context) : undefined;
  if (daemon) {
    checkOptions(run);
    const wire = roots.map((root) => root.wire);
    return scanByDaemon(run, daemon, { ...(given && { mode: given }), roots: wire, dryRun, fresh });
  }
  const { settings, domains } = await targetOf(run, context);
  const mode = given ?? settings.policy.mode;
  return interruptible(run, async (signal) => {
    const events = run.json ? run.jsonEvents() : noEvents;
    const engine = await context.startEngine(settings, { events, logger: run.logger, signal });
    const stopListening = run.io.onHangup(() => void engine.packWatch.look());
    try {
      await engine.packWatch.start(signal);
      return await scanAll(run, engine, domains, { mode, roots, signal });
    } finally {
      stopListening();
      await engine.close();
    }
  });
}

function rootsOf(paths: readonly string[] = ['/']): GuestPath[] {
  return paths.map((path) => {
    try {
      return GuestPath.of(path);
    } catch (error) {
      throw new UsageError(`--path ${path}: ${(error as Error).message}`);
    }
  });
}

interface Order {
  readonly mode: Mode;
  readonly roots: readonly GuestPath[];
  readonly signal: AbortSignal;
}

/** All guests, as many at once as the engine takes; one that fails does not keep the others from being scanned. */
const scanAll = (
  run: Run<ScanOptions>,
  engine: Engine,
  domains: readonly Domain[],
  order: Order,
): Promise<number> => tellInTurn(domains.map((domain) => scanOne(run, engine, domain, order)));

/** Does not reject. */
async function scanOne(
  run: Run<ScanOptions>,
  engine: Engine,
  domain: Domain,
  { mode, roots, signal }: Order,
): Promise<ScanOutcome> {
  const dryRun = run.options.dryRun === true;
  const fresh = run.options.fresh === true;
  const tracked = run.progress.begin(domain.name);
  let begun = false;
  const onProgress = (progress: ScanProgress): void => {
    begun = true;
    tracked.update(progress);
  };
  try {
    const report = await engine.scanner.scan({ domain, mode, dryRun, fresh, roots }, { onProgress, signal });
    return reported(run, report, dryRun);
  } catch (error) {
    return begun || !signal.aborted ? notScanned(run, domain.name, error) : notBegun;
  } finally {
    tracked.end();
  }
}

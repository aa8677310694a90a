import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Domain } from '../channel/session.ts';
import type { Settings } from '../config/index.ts';
import { PatchError } from '../error.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import type { PatchReport } from '../patch/apply.ts';
import type { PatchRecord } from '../store/records.ts';
import { asked, daemonOf } from './daemon.ts';
import { EXIT } from './exit.ts';
import { formatTime } from './format.ts';
import { interruptible } from './interrupt.ts';
import { type Context, noEvents, perform, type Run } from './run.ts';
import { State } from './state.ts';
import type { Paint, Shade } from './style.ts';
import type { Column } from './table.ts';
import { harmless } from './text.ts';
import { findVm } from './vm.ts';

interface ApplyOptions {
  readonly dryRun?: boolean;
}

interface StatusOptions {
  readonly vm?: string;
}

export function registerPatch(program: Command, context: Context): void {
  const patch = program.command('patch').description('policies and fixes for VMs');
  patch
    .command('apply')
    .description('applies a bundle to a VM; what goes wrong is rolled back as a whole')
    .argument('<vm>', 'its name or id')
    .argument('<bundle>', 'the bundle, a file on this host')
    .option('--dry-run', 'show what would be changed and do nothing')
    .action(perform<ApplyOptions>(context, (run) => apply(run, context)));
  patch
    .command('status')
    .description('lists what patches came to, newest first')
    .option('--vm <vm>', 'in this VM only, by its name or id')
    .action(perform<StatusOptions>(context, status));
}

async function apply(run: Run<ApplyOptions>, context: Context): Promise<number> {
  const [name = '', bundle = ''] = run.args;
  const dryRun = run.options.dryRun === true;
  const daemon = await daemonOf(run, context);
  if (daemon) {
    const text = await readBundle(resolve(bundle));
    const { vm, ...report } = await asked(daemon.applyPatch({ vm: name, bundle: text, dryRun }));
    return tell(run, vm, report);
  }
  const settings = await run.settingsForEngine(context);
  const domain = await domainOf(settings, name);
  return interruptible(run, async (signal) => {
    const engine = await context.startEngine(settings, { events: noEvents, logger: run.logger, signal });
    try {
      const report = await engine.patcher.apply(domain, resolve(bundle), { dryRun, signal });
      return tell(run, domain, report);
    } finally {
      await engine.close();
    }
  });
}

function tell(run: Run, vm: Pick<Domain, 'id' | 'name'>, report: PatchReport): number {
  if (run.json) run.printJson({ vm: vm.id, ...report });
  else run.io.stdout.write(renderPatch(vm.name, report, run.paint));
  return DONE.has(report.state) ? EXIT.ok : EXIT.failed;
}

/** The daemon is sent its text: it need not be able to read the file. */
const readBundle = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((cause: Error) => {
    throw new PatchError('unreadable', `the bundle ${file} cannot be read: ${cause.message}`, { cause });
  });

const DONE: ReadonlySet<PatchReport['state']> = new Set(['applied', 'satisfied', 'applicable']);

/** A configured VM, else one that was scanned by its socket. */
async function domainOf(settings: Settings, name: string): Promise<Domain> {
  const domains = await configuredSockets(settings.vms).listDomains();
  const configured = domains.find((domain) => domain.name === name || domain.id === name);
  if (configured) return configured;
  using state = State.read(settings.state);
  return findVm(state, name);
}

const MEANING: Readonly<Record<PatchReport['state'], string>> = {
  applied: 'applied',
  applicable: 'would be applied; nothing was changed',
  satisfied: 'nothing to do: it is as it should be',
  refused: 'refused; nothing was changed',
  'rolled-back': 'failed, and was rolled back: the VM is as it was',
  'rollback-failed': 'failed, and could not be rolled back as a whole: look at the VM',
};

const SHADES: Readonly<Record<PatchReport['state'], Shade>> = {
  applied: 'good',
  applicable: 'strong',
  satisfied: 'good',
  refused: 'warning',
  'rolled-back': 'warning',
  'rollback-failed': 'bad',
};

export function renderPatch(
  vm: string,
  { patch, title, state, reasons, changes }: PatchReport,
  paint: Paint,
): string {
  const lines = [
    `${paint('strong', harmless(vm))}: ${harmless(title)} (${harmless(patch)})`,
    ...changes.map(({ path, does }) => `  ${does.padEnd('replace'.length)}  ${harmless(path)}`),
    paint(SHADES[state], MEANING[state]),
    ...reasons.map((reason) => `  because: ${harmless(reason)}`),
  ];
  return `${lines.join('\n')}\n`;
}

async function status(run: Run<StatusOptions>): Promise<number> {
  const { state: directory } = await run.settings();
  using state = State.read(directory);
  const { vm } = run.options;
  const filter = vm === undefined ? {} : { vm: findVm(state, vm).id };
  const names = new Map(state?.vms.list().map(({ id, name }) => [id, name]));
  run.printRows(
    state?.patches.list(filter) ?? [],
    columns(names),
    (record) => record,
    'no patch was applied yet',
  );
  return EXIT.ok;
}

const columns = (names: ReadonlyMap<string, string>): readonly Column<PatchRecord>[] => [
  { title: 'WHEN', cell: ({ at }) => formatTime(at) },
  { title: 'VM', cell: ({ vm }) => names.get(vm) ?? vm, flexible: true },
  { title: 'STATE', cell: ({ state }) => state, shade: ({ state }) => SHADES[state] },
  { title: 'PATCH', cell: ({ title, patch }) => `${title} (${patch})`, flexible: true },
  { title: 'WHY', cell: ({ reasons }) => reasons.join('; '), flexible: true },
];

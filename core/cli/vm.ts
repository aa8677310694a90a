import type { Command } from 'commander';
import { INSTRUCTIONS } from '../../protocol/index.ts';
import type { Domain } from '../channel/session.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import type { VmRecord } from '../store/records.ts';
import { asked, daemonOf } from './daemon.ts';
import { UsageError } from './error.ts';
import { EXIT } from './exit.ts';
import { formatTime } from './format.ts';
import { type Context, perform, type Run } from './run.ts';
import { State } from './state.ts';
import type { Column } from './table.ts';
import { displayWire, harmless } from './text.ts';
import { registerVmHistory } from './vm-history.ts';
import { listLive, liveJson, renderLive, showLive } from './vm-live.ts';
import { renderVm } from './vm-page.ts';
import { registerVmPower } from './vm-power.ts';

export function registerVm(program: Command, context: Context): void {
  const vm = program
    .command('vm')
    .description('the VMs: what is known of them; and starting, stopping and keeping them');
  vm.command('list')
    .description('lists the VMs that are configured or were scanned')
    .action(perform(context, (run) => list(run, context)));
  vm.command('show')
    .description('shows one VM: identity, capabilities, instruction set, and what was withheld and why')
    .argument('<vm>', 'its name or id')
    .action(perform(context, (run) => show(run, context)));
  registerVmHistory(vm, context);
  registerVmPower(vm, context);
}

/** A VM as far as it is known: from the configuration, from its scans, or both. */
export interface KnownVm {
  readonly id: string;
  readonly name: string;
  readonly socket: string;
  readonly record?: VmRecord;
}

const COLUMNS: readonly Column<KnownVm>[] = [
  { title: 'NAME', cell: ({ name }) => harmless(name), flexible: true },
  { title: 'ID', cell: ({ id }) => harmless(id) },
  { title: 'LAST SEEN', cell: ({ record }) => (record ? formatTime(record.lastSeen) : 'never') },
  {
    title: 'SYSTEM',
    cell: ({ record }) => harmless(record?.features?.['x-lazaret'].os.name ?? '-'),
    flexible: true,
  },
  { title: 'SOCKET', cell: ({ socket }) => harmless(socket), flexible: true },
];

const NEEDS_DAEMON =
  'libvirt is enabled, and only the service sees its VMs: these are the others, and those that were scanned before (next: systemctl start lazaret)';

async function list(run: Run, context: Context): Promise<number> {
  const daemon = await daemonOf(run, context);
  if (daemon) return listLive(run, await daemon.vms());
  const settings = await run.settings();
  using state = State.read(settings.state);
  const vms = known(await configuredSockets(settings.vms).listDomains(), state?.vms.list() ?? []);
  run.printRows(
    vms,
    COLUMNS,
    ({ id, name, socket, record }) => ({ id, name, socket, lastSeen: record?.lastSeen ?? null }),
    'no VM yet: list them under "vms" in the configuration, or scan one with lazaret scan --socket PATH',
  );
  if (settings.libvirt.enabled) run.note(NEEDS_DAEMON);
  return EXIT.ok;
}

/** Configured ones first, in their order; then what was scanned besides. */
export function known(domains: readonly Domain[], records: readonly VmRecord[]): KnownVm[] {
  const byId = new Map(records.map((record) => [record.id, record]));
  const configured = domains.map(({ id, name, socket }): KnownVm => {
    const record = byId.get(id);
    byId.delete(id);
    return { id, name, socket, ...(record && { record }) };
  });
  const others = Array.from(byId.values(), (record): KnownVm => ({ ...record, record }));
  return [...configured, ...others];
}

async function show(run: Run, context: Context): Promise<number> {
  const name = run.args[0] ?? '';
  const daemon = await daemonOf(run, context);
  const live = daemon && (await asked(daemon.vm(name)));
  const settings = await run.settings();
  using state = State.read(settings.state);
  if (live && !state?.vms.list().some(({ id }) => id === live.id)) return showLive(run, live);
  const vm = findVm(state, live?.id ?? name);
  if (run.json) run.printJson({ ...(vmJson(vm) as object), ...(live && liveJson(live)) });
  else if (live)
    run.io.stdout.write(
      `${renderLive(live, run.io.stdout.columns, run.paint)}\n${renderVm(vm, run.io.stdout.columns, run.paint)}`,
    );
  else run.io.stdout.write(renderVm(vm, run.io.stdout.columns, run.paint));
  return EXIT.ok;
}

/** The VM of this name or id that was scanned before. */
export function findVm(state: State | undefined, name: string): VmRecord {
  const vms = state?.vms.list() ?? [];
  const found = vms.filter((vm) => vm.name === name || vm.id === name);
  if (found.length > 1)
    throw new UsageError(`several VMs are called ${name}: name it by its id (lazaret vm list)`);
  if (found[0]) return found[0];
  throw new UsageError(
    `no VM called ${name} was scanned yet: lazaret vm list shows them, lazaret scan ${name} meets it`,
  );
}

function vmJson(vm: VmRecord): unknown {
  const { features, instructionSet, ...rest } = vm;
  return {
    ...rest,
    ...(features && { features: { ...features, 'x-lazaret': shownFeatures(features) } }),
    ...(instructionSet && {
      instructionSet: {
        ...instructionSet,
        instructions: instructionSet.instructions.map((name) => ({
          name,
          d3fend: INSTRUCTIONS[name].d3fend ?? null,
        })),
      },
    }),
  };
}

function shownFeatures(features: NonNullable<VmRecord['features']>): unknown {
  const own = features['x-lazaret'];
  return {
    ...own,
    fileSystems: own.fileSystems.map(({ path, type }) => ({ path: displayWire(path), type })),
  };
}

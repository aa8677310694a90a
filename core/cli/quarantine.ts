import type { Command } from 'commander';
import type { DaemonClient } from '../service/client.ts';
import type { VaultRecord } from '../store/records.ts';
import { daemonOf } from './daemon.ts';
import type { Engine } from './engine.ts';
import { EXIT } from './exit.ts';
import { formatBytes, formatTime } from './format.ts';
import { interruptible } from './interrupt.ts';
import { exportContent } from './quarantine-export.ts';
import { type Context, noEvents, perform, type Run } from './run.ts';
import { State } from './state.ts';
import type { Column } from './table.ts';
import { displayWire, harmless } from './text.ts';
import { findVm } from './vm.ts';

interface ListOptions {
  readonly vm?: string;
  readonly all?: boolean;
}

export function registerQuarantine(program: Command, context: Context): void {
  const quarantine = program.command('quarantine').description('files that were contained');
  quarantine
    .command('list')
    .description('lists the files in quarantine, newest first')
    .option('--vm <vm>', 'from this VM only, by its name or id')
    .option('--all', 'also those that were restored or purged')
    .action(perform<ListOptions>(context, list));
  quarantine
    .command('restore')
    .description('puts files back into their VM as they were: content, owner, mode, times, attributes')
    .argument('<id...>', 'ids that quarantine list shows')
    .action(
      perform(context, (run) =>
        each(run, context, 'restored', {
          daemon: (daemon, id) => daemon.restore(id),
          engine: (engine, id, signal) => engine.quarantine.restore(id, signal),
        }),
      ),
    );
  quarantine
    .command('export')
    .description('writes the content of a file in quarantine, which is malware, to a new file of this host')
    .argument('<id>', 'an id that quarantine list shows')
    .argument('<file>', 'the file to make; only its owner may read it')
    .action(perform(context, exportContent));
  quarantine
    .command('purge')
    .description('removes files from quarantine for good; they cannot be restored afterwards')
    .argument('<id...>', 'ids that quarantine list shows')
    .action(
      perform(context, (run) =>
        each(run, context, 'purged', {
          daemon: (daemon, id) => daemon.purge(id),
          engine: (engine, id) => engine.quarantine.purge(id),
        }),
      ),
    );
}

async function list(run: Run<ListOptions>): Promise<number> {
  const { state: directory } = await run.settings();
  using state = State.read(directory);
  const { vm, all } = run.options;
  const filter = vm === undefined ? {} : { vm: findVm(state, vm).id };
  const records = (state?.vault.list(filter) ?? []).filter(({ status }) => all || isHeld(status));
  const names = new Map(state?.vms.list().map(({ id, name }) => [id, name]));
  run.printRows(records, columns(names), recordJson, 'quarantine is empty');
  return EXIT.ok;
}

const isHeld = (status: VaultRecord['status']): boolean => status === 'held' || status === 'arriving';

const columns = (names: ReadonlyMap<string, string>): readonly Column<VaultRecord>[] => [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'SINCE', cell: ({ at }) => formatTime(at) },
  { title: 'STATUS', cell: ({ status }) => status },
  { title: 'SIZE', cell: ({ size }) => formatBytes(size), align: 'right' },
  { title: 'VM', cell: ({ vm }) => harmless(names.get(vm) ?? vm), flexible: true },
  { title: 'WAS', cell: ({ path }) => displayWire(path), flexible: true },
];

const recordJson = (record: VaultRecord): unknown => ({ ...record, path: displayWire(record.path) });

/** Done by the daemon where one runs, else by an engine of our own. */
interface Work {
  daemon(daemon: DaemonClient, id: string): Promise<unknown>;
  engine(engine: Engine, id: string, signal: AbortSignal): Promise<unknown>;
}

async function each(run: Run, context: Context, done: 'restored' | 'purged', work: Work): Promise<number> {
  const daemon = await daemonOf(run, context);
  if (daemon)
    return interruptible(run, (signal) => oneByOne(run, done, signal, (id) => work.daemon(daemon, id)));
  const settings = await run.settingsForEngine(context);
  return interruptible(run, async (signal) => {
    const engine = await context.startEngine(settings, { events: noEvents, logger: run.logger, signal });
    try {
      return await oneByOne(run, done, signal, (id) => work.engine(engine, id, signal));
    } finally {
      await engine.close();
    }
  });
}

/** One that fails does not keep the others from being done. */
async function oneByOne(
  run: Run,
  done: string,
  signal: AbortSignal,
  work: (id: string) => Promise<unknown>,
): Promise<number> {
  let code: number = EXIT.ok;
  for (const id of run.args) {
    signal.throwIfAborted();
    try {
      await work(id);
      if (run.json) run.printJson({ id, status: done });
      else run.print(`${done} ${harmless(id)}`);
    } catch (error) {
      run.printError(error);
      code = EXIT.failed;
    }
  }
  return code;
}

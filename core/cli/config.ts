import type { Command } from 'commander';
import { stringify } from 'yaml';
import {
  CONFIG_DIRECTORY,
  loadSettings,
  type Settings,
  settingsFor,
  settingsJsonSchema,
} from '../config/index.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import type { VmName } from '../service/views.ts';
import { daemonOf } from './daemon.ts';
import { UsageError } from './error.ts';
import { EXIT } from './exit.ts';
import { type Context, perform, type Run } from './run.ts';
import { State } from './state.ts';
import { harmless } from './text.ts';
import { known } from './vm.ts';

export function registerConfig(program: Command, context: Context): void {
  const config = program.command('config').description('the configuration');
  config
    .command('check')
    .description('tells every error of the configuration, with file, line, column and key')
    .action(perform(context, (run) => check(run, context)));
  config
    .command('show')
    .description('prints the configuration, of all files together, as YAML')
    .option(
      '--effective',
      'as it counts: with every default filled in, sizes in bytes, times in milliseconds',
    )
    .option(
      '--vm <vm>',
      'what holds for this VM, by its name or id: policy, schedule and budget with those of its group',
    )
    .action(perform<ShowOptions>(context, (run) => show(run, context)));
  config
    .command('schema')
    .description('prints the JSON Schema of a configuration file, for editors')
    .action(perform(context, schema));
}

async function check(run: Run, context: Context): Promise<number> {
  const { files, settings } = await loadSettings({ file: run.options.config }, (configured) =>
    context.plugins(configured),
  );
  if (run.json) run.printJson({ files, settings });
  else if (files.length > 0) run.print(`the configuration is right: ${files.map(harmless).join(', ')}`);
  else run.print(`nothing is configured in ${CONFIG_DIRECTORY}: the defaults hold`);
  return EXIT.ok;
}

interface ShowOptions {
  readonly effective?: boolean;
  readonly vm?: string;
}

async function show(run: Run<ShowOptions>, context: Context): Promise<number> {
  const { effective = false, vm, config } = run.options;
  const { settings, written } = await loadSettings({ file: config }, (named) => context.plugins(named));
  const whole = effective ? run.withState(settings) : written;
  const shown = vm === undefined ? whole : await holdsFor(vm, settings, run, context);
  if (run.json) run.printJson(shown);
  else run.io.stdout.write(toYaml(shown));
  return EXIT.ok;
}

/** What holds for a VM; for one that nobody knows, what would if it were there. */
async function holdsFor(nameOrId: string, settings: Settings, run: Run, context: Context): Promise<object> {
  const vms = await knownVms(settings, run, context);
  const found = vms.filter(({ id, name }) => id === nameOrId || name === nameOrId);
  if (found.length > 1)
    throw new UsageError(`several VMs are called ${nameOrId}: name it by its id (lazaret vm list)`);
  if (found.length === 0) run.note(`no VM called ${harmless(nameOrId)} is known: this would hold for one`);
  const { id, name } = found[0] ?? { id: nameOrId.toLowerCase(), name: nameOrId };
  const { group, ...rest } = settingsFor(settings, { id, name });
  return { vm: { id, name }, group: group ?? null, ...rest };
}

async function knownVms(settings: Settings, run: Run, context: Context): Promise<readonly VmName[]> {
  const daemon = await daemonOf(run, context);
  if (daemon) return daemon.vms();
  using state = State.read(run.withState(settings).state);
  return known(await configuredSockets(settings.vms).listDomains(), state?.vms.list() ?? []);
}

const toYaml = (value: object): string =>
  stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }).split('\n').map(harmless).join('\n');

async function schema(run: Run): Promise<number> {
  run.print(JSON.stringify(settingsJsonSchema(), undefined, run.json ? undefined : 2));
  return EXIT.ok;
}

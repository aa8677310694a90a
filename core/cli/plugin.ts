import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { AnyPlugin, SignatureFile } from '../api/index.ts';
import type { Settings } from '../config/index.ts';
import { activeFiles } from '../pack/packs.ts';
import { PackShelf } from '../pack/shelf.ts';
import { readStarter } from '../pack/starter.ts';
import { tryPackage } from '../plugin/trial.ts';
import { filesFor, type Usage, usageOf } from '../plugin/usage.ts';
import { renderChecks } from './doctor.ts';
import { EXIT } from './exit.ts';
import { type Context, perform, type Run } from './run.ts';
import { State } from './state.ts';
import type { Shade } from './style.ts';
import type { Column } from './table.ts';
import { harmless } from './text.ts';

export function registerPlugin(program: Command, context: Context): void {
  const plugin = program.command('plugin').description('detectors, remediations and patches');
  plugin
    .command('list')
    .description('lists the plugins, those of third parties too, and whether they are in use')
    .action(perform(context, (run) => list(run, context)));
  plugin
    .command('check')
    .description("tries a third party's plugin as it would be used, and says what is wrong with it")
    .argument('<directory>', 'the package, with its package.json')
    .action(perform(context, check));
}

interface Row {
  /** Of a package that was refused, its directory alone is known. */
  readonly id?: string;
  readonly kind?: string;
  readonly version?: string;
  readonly api?: number;
  readonly state: Usage['state'] | 'refused';
  /** Why it is not in use. */
  readonly why?: string;
  /** The directory of a third party's package. */
  readonly directory?: string;
}

async function list(run: Run, context: Context): Promise<number> {
  const settings = await run.settings();
  const { plugins, packages, refused } = await context.catalogue(settings);
  const directories = new Map(packages.map(({ manifest, directory }) => [manifest.id, directory]));
  const files = await packFiles(settings);
  const known = plugins.map((plugin) => rowFor(plugin, settings, files, directories.get(plugin.meta.id)));
  const unknown = refused.map(
    ({ directory, error }): Row => ({ state: 'refused', why: error.message, directory }),
  );
  const rows = [...(await Promise.all(known)), ...unknown];
  run.printRows(rows, COLUMNS, (row) => row, 'there are no plugins');
  if (!run.json) for (const row of rows) printWhy(run, row);
  return EXIT.ok;
}

/** As the engine has them. */
async function packFiles({ state: directory, packs }: Settings): Promise<readonly SignatureFile[]> {
  using state = State.read(directory);
  const shelf = new PackShelf(join(directory, 'packs'), packs.trusted);
  const starter = packs.starter ? (await readStarter()).files : [];
  return [...starter, ...(await activeFiles(shelf, state?.packs.list() ?? [], Date.now()))];
}

async function rowFor(
  plugin: AnyPlugin,
  settings: Settings,
  files: readonly SignatureFile[],
  directory: string | undefined,
): Promise<Row> {
  const { id, kind, version, api } = plugin.meta;
  const usage = await usageOf(plugin, settings.plugins[id], filesFor(plugin, files));
  return {
    ...{ id, kind, version, state: usage.state },
    ...(api !== undefined && { api }),
    ...('why' in usage && { why: usage.why }),
    ...(directory !== undefined && { directory }),
  };
}

const STATES: Readonly<Record<Row['state'], { readonly text: string; readonly shade: Shade }>> = {
  used: { text: 'in use', shade: 'good' },
  off: { text: 'off', shade: 'faint' },
  'needs-options': { text: 'needs options', shade: 'faint' },
  'needs-signatures': { text: 'needs signatures', shade: 'faint' },
  'bad-options': { text: 'wrong options', shade: 'bad' },
  'unsupported-api': { text: 'refused', shade: 'bad' },
  refused: { text: 'refused', shade: 'bad' },
};

const COLUMNS: readonly Column<Row>[] = [
  { title: 'ID', cell: ({ id }) => id ?? '?' },
  { title: 'KIND', cell: ({ kind }) => kind ?? '?' },
  { title: 'VERSION', cell: ({ version }) => version ?? '?' },
  { title: 'API', cell: ({ api }) => (api === undefined ? '' : String(api)), align: 'right' },
  { title: 'STATE', cell: ({ state }) => STATES[state].text, shade: ({ state }) => STATES[state].shade },
  { title: 'FROM', cell: ({ directory }) => directory ?? 'built in', flexible: true },
];

/** Below the table, where it has room; a plugin that is in use has nothing to explain. */
function printWhy(run: Run, { id, directory, why, state }: Row): void {
  if (why === undefined || state === 'off') return;
  const [first = '', ...rest] = why.split('\n').map(harmless);
  run.note(`${run.paintNote(STATES[state].shade, harmless(id ?? directory ?? '?'))}: ${first}`);
  for (const line of rest) run.note(`  ${line}`);
}

async function check(run: Run): Promise<number> {
  const settings = await run.settings();
  const directory = resolve(run.args[0] ?? '');
  const checkups = await tryPackage(directory, (id) => {
    const { enabled: _, ...options } = settings.plugins[id] ?? { enabled: true };
    return options;
  });
  if (run.json) for (const checkup of checkups) run.printJson(checkup);
  else
    run.io.stdout.write(
      renderChecks(
        checkups.map((one) => ({ name: '', ...one })),
        run.paint,
      ),
    );
  return checkups.some(({ status }) => status === 'fail') ? EXIT.failed : EXIT.ok;
}

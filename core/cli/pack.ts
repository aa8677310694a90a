import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { buildPack } from '../pack/build.ts';
import { PackError } from '../pack/error.ts';
import { importRules } from '../pack/import-rules.ts';
import { type MinisignKey, parseSecretKey } from '../pack/minisign.ts';
import { checkSerial } from '../pack/packs.ts';
import { PackShelf } from '../pack/shelf.ts';
import { readStarter } from '../pack/starter.ts';
import { readSigned } from '../pack/verify.ts';
import type { PackRecord } from '../store/packs.ts';
import { EXIT } from './exit.ts';
import { formatNumber } from './format.ts';
import { installPack, naming, rollbackPack } from './pack-change.ts';
import { type Context, perform, type Run } from './run.ts';
import { State } from './state.ts';
import type { Column } from './table.ts';
import { harmless } from './text.ts';

interface BuildOptions {
  readonly output?: string;
  readonly key?: string;
}

export function registerPack(program: Command, context: Context): void {
  const pack = program.command('pack').description("vendors' packs of signatures");
  pack.command('list').description('lists the packs in use').action(perform(context, list));
  pack
    .command('verify')
    .description('tells whether a pack is whole, current and signed by a trusted key; installs nothing')
    .argument('<pack>', 'an archive or a directory')
    .action(perform(context, verify));
  pack
    .command('install')
    .description('verifies a pack, tries it on its own tests and on known good files, and uses it')
    .argument('<pack>', 'an archive or a directory')
    .action(perform(context, (run) => installPack(run, context)));
  pack
    .command('rollback')
    .description('goes back to the version that was in use before')
    .argument('<pack>', 'VENDOR/ID, as pack list shows it')
    .action(perform(context, async (run) => rollbackPack(run, context)));
  pack
    .command('build')
    .description('fills in the hashes of pack.json, signs it and makes the archive')
    .argument('<directory>', 'with pack.json and all that it lists')
    .option('--key <file>', 'sign with this minisign secret key, which has no password')
    .option('--output <file>', 'the archive, such as rules.tar.zst')
    .action(perform<BuildOptions>(context, build));
  pack
    .command('import')
    .description('makes a directory for pack build of a tree of YARA rules')
    .argument('<rules>', 'the tree, with its licence')
    .argument('<directory>', 'to be made')
    .requiredOption('--vendor <vendor>', 'who signs it')
    .requiredOption('--id <id>', 'the name of the pack')
    .requiredOption('--licence <licence>', 'of the rules, such as MIT')
    .action(perform<ImportOptions>(context, importTree));
}

interface ImportOptions {
  readonly vendor: string;
  readonly id: string;
  readonly licence: string;
}

async function importTree(run: Run<ImportOptions>): Promise<number> {
  const { vendor, id, licence } = run.options;
  const [rules = '', target = ''] = run.args.map((path) => resolve(path));
  const count = await importRules({ rules, directory: target, vendor, id, licence, now: Date.now() });
  if (run.json) run.printJson({ vendor, id, rules: count, directory: target });
  else
    run.print(
      `${formatNumber(count, 'rule file')} in ${target}: look through its pack.json, add tests to it`,
    );
  run.note(`next: lazaret pack build ${target} --key FILE --output ${id}.tar.zst`);
  return EXIT.ok;
}

/** A pack in use; one that comes with Lazaret was never installed, and is replaced with the release. */
type Listed = Pick<PackRecord, 'vendor' | 'id' | 'active' | 'previous'> & { readonly builtIn: boolean };

async function list(run: Run): Promise<number> {
  const { state: directory, packs } = await run.settings();
  const { record, problems } = packs.starter ? await readStarter() : { problems: [] };
  using state = State.read(directory);
  const installed = (state?.packs.list() ?? []).map((one) => ({ ...one, builtIn: false }));
  const shelf = new PackShelf(join(directory, 'packs'), packs.trusted);
  const active = await Promise.all(installed.map((one) => shelf.activate(one, Date.now())));
  for (const { file, message } of [...problems, ...active.flatMap((one) => one.problems)]) {
    run.note(`${run.paintNote('warning', 'warning')}  ${file}: ${harmless(message)}`);
  }
  const rows = [...(record ? [{ ...record, builtIn: true }] : []), ...installed];
  run.printRows<Listed>(rows, COLUMNS, (row) => row, 'no pack is in use');
  return EXIT.ok;
}

const isExpired = ({ active, builtIn }: Listed): boolean =>
  !builtIn && Date.parse(active.expires) <= Date.now();

const expiryText = (row: Listed): string => {
  if (row.builtIn) return 'comes with Lazaret';
  return `${row.active.expires.slice(0, 10)}${isExpired(row) ? ' (expired)' : ''}`;
};

const COLUMNS: readonly Column<Listed>[] = [
  { title: 'PACK', cell: ({ vendor, id }) => `${vendor}/${id}`, flexible: true },
  { title: 'VERSION', cell: ({ active }) => active.version },
  { title: 'SERIAL', cell: ({ active }) => String(active.serial), align: 'right' },
  { title: 'FILES', cell: ({ active }) => String(active.signatures), align: 'right' },
  {
    title: 'EXPIRES',
    cell: expiryText,
    shade: (row) => (isExpired(row) ? 'warning' : undefined),
  },
  { title: 'BEFORE', cell: ({ previous }) => previous?.version ?? '' },
];

async function verify(run: Run): Promise<number> {
  const settings = await run.settings();
  const pack = await naming(run, async (path) => {
    const verified = await readSigned(path, settings.packs.trusted, Date.now());
    using state = State.read(settings.state);
    const { vendor, id } = verified.manifest;
    checkSerial(verified, state?.packs.find(vendor, id));
    return verified;
  });
  const { manifest, digest, trustedComment } = pack;
  const { vendor, id, version, serial, expires, files } = manifest;
  if (run.json) run.printJson({ vendor, id, version, serial, expires, digest, trustedComment });
  else {
    run.print(`${vendor}/${id} ${version} (serial ${serial}): ${run.paint('good', 'whole and trusted')}`);
    run.print(
      `  ${files.length} files, until ${expires}; signed with the words: ${harmless(trustedComment)}`,
    );
  }
  return EXIT.ok;
}

async function build(run: Run<BuildOptions>): Promise<number> {
  const { key, output } = run.options;
  const directory = resolve(run.args[0] ?? '');
  const built = await buildPack({
    directory,
    output,
    key: key === undefined ? undefined : await readKey(key),
  });
  const { manifest, updated, signed, archive } = built;
  if (run.json) run.printJson({ vendor: manifest.vendor, id: manifest.id, updated, signed, archive });
  else {
    run.print(`pack.json ${updated ? 'was brought up to date' : 'is up to date'}`);
    if (archive) run.print(`${archive} is made`);
  }
  if (!signed) run.note(`next: minisign -S -m ${directory}/pack.json, then build again`);
  return EXIT.ok;
}

async function readKey(file: string): Promise<MinisignKey> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new PackError('unreadable', `cannot read the key ${file}: check --key`, { cause });
  });
  return parseSecretKey(text);
}

/**
 * Finds, reads and checks the configuration: the file that is named, else `/etc/lazaret/lazaret.yaml`, then
 * `conf.d/*.yaml` beside it in the order of their names. Only data is ever read; no place is searched that
 * somebody other than the host's administrator could fill.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, stat } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { ConfigError } from '../error.ts';
import { type FileFacts, whyForeign, whyForeignPlace } from '../trust.ts';
import { faultsOf, formatFault } from './faults.ts';
import { type Configurable, pluginFaults } from './plugin-options.ts';
import { defaults, type Settings, settingsSchema } from './schema.ts';
import { type Fault, mergeSources, parseSource, type Source } from './source.ts';

export const CONFIG_DIRECTORY = '/etc/lazaret';
const NAMES = ['lazaret.yaml', 'lazaret.yml', 'lazaret.json'];
const EXTENSIONS = new Set(['.yaml', '.yml', '.json']);
/** A host with thousands of VMs by name has a tenth of it. */
const MOST_BYTES = 4 * 1024 * 1024;

export interface LoadedSettings {
  readonly settings: Settings;
  /** What the files say, laid over each other: no defaults, every value as it is written. */
  readonly written: Readonly<Record<string, unknown>>;
  /** The files that were read, in order; none when nothing is configured. */
  readonly files: readonly string[];
}

export interface Place {
  /** As given on the command line. It must be there. */
  readonly file?: string | undefined;
  /** Where to look when no file is given. */
  readonly directory?: string;
}

/** The plugins that a configuration can name: always the same, or depending on its directories. */
export type PluginsFor = readonly Configurable[] | ((settings: Settings) => Promise<readonly Configurable[]>);

/**
 * Throws ConfigError: `not-found`, `unreadable`, or `invalid` with one line an error, every error of every file
 * at once. With `plugins`, their options are checked as well.
 */
export async function loadSettings(place: Place = {}, plugins?: PluginsFor): Promise<LoadedSettings> {
  const main = place.file ? resolve(place.file) : await findMain(place.directory ?? CONFIG_DIRECTORY);
  if (!main) return { settings: defaults(), written: {}, files: [] };
  const parts = [{ file: main, text: await readTrusted(main) }];
  for (const file of await listParts(join(dirname(main), 'conf.d')))
    parts.push({ file, text: await readTrusted(file) });
  return { ...(await checkWhole(parts, plugins)), files: parts.map(({ file }) => file) };
}

interface Part {
  readonly file: string;
  readonly text: string;
}

/** Checks the texts of configuration files, in order; throws ConfigError `invalid`. */
export async function check(parts: readonly Part[], plugins?: PluginsFor): Promise<Settings> {
  return (await checkWhole(parts, plugins)).settings;
}

async function checkWhole(
  parts: readonly Part[],
  plugins: PluginsFor | undefined,
): Promise<Pick<LoadedSettings, 'settings' | 'written'>> {
  const parsed = parts.map(({ file, text }) => parseSource(file, text));
  const sources = parsed.filter((source): source is Source => 'value' in source);
  const source = sources.reduce(mergeSources, { value: {}, positions: new Map() });
  const faults = parsed.filter((one): one is readonly Fault[] => Array.isArray(one)).flat();
  const result = settingsSchema.safeParse(source.value, { reportInput: true });
  if (!result.success) faults.push(...faultsOf(result.error.issues, source, settingsSchema));
  else if (plugins)
    faults.push(...(await pluginFaults(await namedBy(plugins, result.data), result.data.plugins, source)));
  if (result.success && faults.length === 0) return { settings: result.data, written: source.value };
  throw new ConfigError('invalid', faults.map(formatFault).join('\n'));
}

const namedBy = async (plugins: PluginsFor, settings: Settings): Promise<readonly Configurable[]> =>
  typeof plugins === 'function' ? plugins(settings) : plugins;

async function findMain(directory: string): Promise<string | undefined> {
  const found: string[] = [];
  for (const name of NAMES) if (await exists(join(directory, name))) found.push(join(directory, name));
  if (found.length < 2) return found[0];
  throw new ConfigError('invalid', `${found.join(' and ')} are both there: keep one of them`);
}

/** The files of conf.d, which count like the main one. */
async function listParts(directory: string): Promise<string[]> {
  if (!(await exists(directory))) return [];
  try {
    refuseForeign(directory, await stat(directory));
    const names = await readdir(directory);
    return names
      .filter((name) => EXTENSIONS.has(extname(name)) && !name.startsWith('.'))
      .sort()
      .map((name) => join(directory, name));
  } catch (cause) {
    throw asConfigError(directory, await isLink(directory), cause);
  }
}

/** A link counts by itself: one that leads nowhere is not taken for a configuration that is not there. */
async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return false;
    throw asConfigError(path, await isLink(path), cause);
  }
}

/** Reads through one descriptor, so that what was checked is what is read. */
async function readTrusted(file: string): Promise<string> {
  try {
    // A FIFO must not hold us up.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile()) throw new ConfigError('unreadable', `${file}: ${NO_FILE}`);
    refuseForeign(file, facts);
    const why = await whyForeignPlace(file);
    if (why !== undefined) throw new ConfigError('unreadable', `${file}: ${why}`);
    if (facts.size > MOST_BYTES) {
      const message = `${file}: it has ${facts.size} bytes, expected at most ${MOST_BYTES}: name the configuration`;
      throw new ConfigError('unreadable', message);
    }
    return await handle.readFile('utf8');
  } catch (cause) {
    throw asConfigError(file, await isLink(file), cause);
  }
}

/** What a pipe says would count as an empty configuration: nothing that it should have said would hold. */
const NO_FILE = 'it is no regular file: put one in its place, or remove it';

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (facts) => facts.isSymbolicLink(),
    () => false,
  );

function refuseForeign(path: string, facts: FileFacts): void {
  const why = whyForeign(path, facts);
  if (why !== undefined) throw new ConfigError('unreadable', `${path}: ${why}`);
}

function asConfigError(path: string, isLink: boolean, cause: unknown): ConfigError {
  if (cause instanceof ConfigError) return cause;
  const code = codeOf(cause);
  if (code === 'ENOENT' && !isLink) return new ConfigError('not-found', `${path}: ${ABSENT}`, { cause });
  const why = WHY_UNREADABLE[String(code)] ?? `it cannot be read: ${(cause as Error).message}`;
  return new ConfigError('unreadable', `${path}: ${why}`, { cause });
}

const ABSENT = 'there is no such file; check what --config names';
const WHY_UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'it is a link that leads nowhere: mend it or remove it',
  ELOOP: 'it is a link that leads in a circle: mend it or remove it',
  ENOTDIR: 'it is no directory: put one in its place, or remove it',
  // A socket.
  ENXIO: NO_FILE,
};

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

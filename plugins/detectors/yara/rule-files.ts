import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import {
  PluginError,
  readRegularFile,
  type SignatureFile,
  type SignatureProblem,
  type TreeFile,
  walkFiles,
} from 'lazaret/plugin';
import { type Declarations, declarations } from './declarations.ts';

export interface RuleFile extends Declarations {
  /** Where it lies. */
  readonly path: string;
  /** Relative to the entry of the option `rules` that led to it, or `vendor/id/path` in a pack. */
  readonly name: string;
  readonly text: string;
}

export interface RuleFiles {
  readonly files: readonly RuleFile[];
  readonly problems: readonly SignatureProblem[];
}

/** A file of rules that is larger is none that a person wrote. */
const LARGEST_FILE = 64 * 1024 * 1024;

/**
 * Reads files and, recursively, the `*.yar` and `*.yara` of directories; each once, under however many names and
 * entries. Throws `bad-signatures` when an entry cannot be read, or the signal's reason.
 */
export async function readRuleFiles(
  entries: readonly string[],
  packed: readonly SignatureFile[] = [],
  signal?: AbortSignal,
): Promise<RuleFiles> {
  const places = new Map<string, TreeFile>();
  const problems: SignatureProblem[] = [];
  for (const entry of entries) {
    const tree = await findRuleFiles(path.resolve(entry), signal);
    problems.push(...tree.problems);
    for (const file of tree.files) await add(places, file);
  }
  for (const { path: place, pack, name } of packed)
    await add(places, { path: place, name: `${pack}/${name}` });
  const files: RuleFile[] = [];
  for (const { path: place, name } of places.values()) {
    signal?.throwIfAborted();
    const read = await readText(place);
    if ('problem' in read) problems.push({ file: place, message: read.problem });
    else files.push({ path: place, name, text: read.text, ...declarations(read.text) });
  }
  return { files, problems };
}

/** By what the file is: two entries can lead to it, by links or by one within the other. */
async function add(places: Map<string, TreeFile>, file: TreeFile): Promise<void> {
  const { dev, ino } = await stat(file.path, { bigint: true }).catch(cannotRead(file.path));
  const identity = `${dev}:${ino}`;
  if (!places.has(identity)) places.set(identity, file);
}

/** Changes whenever a rule does. */
export function digestRules(files: readonly Pick<RuleFile, 'name' | 'text'>[]): string {
  const hash = createHash('sha256');
  for (const { name, text } of files) hash.update(`${name}\0${text}\0`);
  return hash.digest('hex');
}

async function findRuleFiles(entry: string, signal: AbortSignal | undefined) {
  const found = await stat(entry).catch(cannotRead(entry));
  if (found.isDirectory()) return walkFiles(entry, { wants: (name) => /\.yara?$/i.test(name), signal });
  if (found.isFile()) return { files: [{ path: entry, name: path.basename(entry) }], problems: [] };
  throw new PluginError('bad-signatures', `${entry} is neither a file nor a directory: name one of rules`);
}

const cannotRead =
  (entry: string) =>
  (cause: unknown): never => {
    throw new PluginError('bad-signatures', `cannot read the rules ${entry}: check the option "rules"`, {
      cause,
    });
  };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Without a byte order mark. What is not UTF-8 is no rule: a replaced byte would change what it looks for. */
async function readText(place: string): Promise<{ readonly text: string } | { readonly problem: string }> {
  try {
    return { text: utf8.decode(await readRegularFile(place, LARGEST_FILE, 'rules')) };
  } catch (error) {
    return { problem: error instanceof PluginError ? error.message : 'is not UTF-8: convert it' };
  }
}

import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { PluginError, type SignatureFile, type SignatureProblem } from 'lazaret/plugin';
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

/** Reads files and, recursively, the `*.yar` and `*.yara` of directories. Throws `bad-signatures` when an entry is not there. */
export async function readRuleFiles(
  entries: readonly string[],
  packed: readonly SignatureFile[] = [],
): Promise<RuleFiles> {
  const places = new Map<string, string>();
  for (const entry of entries) {
    for (const [place, name] of await findRuleFiles(path.resolve(entry))) {
      if (!places.has(place)) places.set(place, name);
    }
  }
  for (const { path: place, pack, name } of packed) places.set(place, `${pack}/${name}`);
  const files: RuleFile[] = [];
  const problems: SignatureProblem[] = [];
  for (const [place, name] of places) {
    const text = decode(await readFile(place));
    if (text === undefined) problems.push({ file: place, message: 'is not UTF-8: convert it' });
    else files.push({ path: place, name, text, ...declarations(text) });
  }
  return { files, problems };
}

/** Changes whenever a rule does. */
export function digestRules(files: readonly Pick<RuleFile, 'name' | 'text'>[]): string {
  const hash = createHash('sha256');
  for (const { name, text } of files) hash.update(`${name}\0${text}\0`);
  return hash.digest('hex');
}

async function findRuleFiles(entry: string): Promise<[place: string, name: string][]> {
  const found = await stat(entry).catch((cause: unknown) => {
    throw new PluginError('bad-signatures', `cannot read the rules ${entry}: check the option "rules"`, {
      cause,
    });
  });
  if (!found.isDirectory()) return [[entry, path.basename(entry)]];
  const names = (await readdir(entry, { recursive: true })).filter((name) => /\.yara?$/i.test(name)).sort();
  const places: [string, string][] = [];
  for (const name of names) {
    const place = path.join(entry, name);
    if ((await stat(place)).isFile()) places.push([place, name]);
  }
  return places;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Without a byte order mark; undefined when it is not UTF-8. A replaced byte would change what a rule looks for. */
function decode(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * The files of a package and of all that it depends on: none that others can change, no link that leads out, and
 * one digest over them. What a child process may read follows from them: each entry of each package, but not
 * whatever else lies in `node_modules`.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { PluginError } from '../api/index.ts';
import { whyForeign } from '../trust.ts';

/** A package larger than this, with its dependencies, is none that a person has looked at. */
const MAX_FILES = 10_000;
const MAX_BYTES = 512 * 1024 * 1024;
const MODULES = 'node_modules';
/** The host's own, wherever the package lies (plugin-child.ts). */
const HOST = 'lazaret';

export interface PackageFiles {
  /** Files, and directories with all below, that the package needs to run. */
  readonly readable: readonly string[];
  /** SHA-256 over the names and contents of all of them. */
  readonly digest: string;
}

/** Looks at every file. `directory` has no symbolic link in it. Throws PluginError `bad-package`, or what the system says. */
export function inspectFiles(directory: string): PackageFiles {
  const inspection = new Inspection(directory);
  const readable: string[] = [];
  for (const part of [directory, ...dependenciesOf(directory)]) {
    checkOwner(part);
    for (const name of readdirSync(part).sort()) {
      if (name === MODULES) continue;
      readable.push(join(part, name));
      inspection.entry(part, name);
    }
  }
  return { readable, digest: inspection.digest() };
}

/** Stops at the first entry that is one too many: what a directory holds is not known before it was looked at. */
class Inspection {
  private readonly directory: string;
  private readonly hash = createHash('sha256');
  private files = 0;
  private bytes = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Looks at an entry below `root`, and at all below it. */
  entry(root: string, name: string): void {
    const path = join(root, name);
    const facts = lstatSync(path);
    this.count(facts);
    if (facts.isSymbolicLink()) {
      if (!inside(root, realpathSync(path))) throw refused(root, `the link ${name} leads out of it`);
      return;
    }
    checkOwner(path, facts);
    if (facts.isFile()) {
      this.hash.update(`${name}\0${facts.size}\0`).update(readFileSync(path));
    } else if (facts.isDirectory()) {
      for (const entry of readdirSync(path).sort()) this.entry(root, join(name, entry));
    } else throw refused(root, `${name} is neither a file nor a directory`);
  }

  digest(): string {
    return this.hash.digest('hex');
  }

  private count({ size }: Stats): void {
    this.files += 1;
    this.bytes += size;
    if (this.files > MAX_FILES) throw refused(this.directory, `it has more than ${MAX_FILES} files`);
    if (this.bytes > MAX_BYTES) throw refused(this.directory, `its files have more than ${MAX_BYTES} bytes`);
  }
}

/** The text of a package.json. A pipe in its place would hold all of lazaret up. Throws as the file system does. */
export function readDescription(directory: string): string {
  const file = join(directory, 'package.json');
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile())
      throw new Error(`${file} is no regular file: put one in its place, or remove it`);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** The directories of all that a package depends on, found as Node finds them. Those that are missing are left out. */
function dependenciesOf(directory: string, known = new Set<string>()): Set<string> {
  const described = JSON.parse(readDescription(directory));
  for (const name of Object.keys({ ...described.dependencies, ...described.optionalDependencies })) {
    const found = name === HOST ? undefined : lookUp(directory, name);
    if (found === undefined || known.has(found)) continue;
    known.add(found);
    dependenciesOf(found, known);
  }
  return known;
}

function lookUp(from: string, name: string): string | undefined {
  for (let at = from; ; at = dirname(at)) {
    const candidate = join(at, MODULES, name);
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate);
    if (at === dirname(at)) return undefined;
  }
}

/** Throws PluginError `bad-package` unless only we or root can change what lies in the directory. */
export function checkOwner(path: string, { uid, mode }: Pick<Stats, 'uid' | 'mode'> = lstatSync(path)): void {
  const why = whyForeign(path, { uid, mode });
  if (why !== undefined) throw refused(path, why);
}

/** Whether `path` lies below `directory`; both without symbolic links. */
export function inside(directory: string, path: string): boolean {
  const way = relative(directory, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`);
}

export const refused = (directory: string, why: string): PluginError =>
  new PluginError('bad-package', `the plugin in ${directory} is refused: ${why}`);

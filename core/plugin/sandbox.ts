/**
 * How the child process of a third-party plugin is started: Node's permission model without network, child
 * processes, workers, addons or writing; reading only the package, what it depends on, the host's plugin API and
 * the directories in which files are handed over; an empty environment and no descriptors but three pipes.
 *
 * The permission model follows symbolic links; packages with links that lead out are refused (manifest.ts).
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FoundPackage } from './manifest.ts';

const SUFFIX = import.meta.url.slice(-3);
const ENTRY = fileURLToPath(new URL(`./plugin-child${SUFFIX}`, import.meta.url));
const HERE = dirname(ENTRY);
const MIB = 1024 * 1024;

export interface SandboxOptions {
  /** Files, and directories with all below, that the child may read besides its own. */
  readonly readable: readonly string[];
  readonly memoryBytes: number;
}

export function startChild(
  found: FoundPackage,
  { readable: given, memoryBytes }: SandboxOptions,
): ChildProcessWithoutNullStreams {
  const readable = [
    ENTRY,
    join(HERE, '../api'),
    join(HERE, '../../protocol'),
    ...ownDependencies(),
    found.directory,
    ...dependencies(found.directory),
    ...given,
  ];
  const flags = [
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    `--max-old-space-size=${Math.floor(memoryBytes / MIB / 2)}`,
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=SecurityWarning',
  ];
  return spawn(process.execPath, [...flags, ENTRY], { cwd: '/', env: {}, stdio: 'pipe' });
}

/** Packages that the plugin API and the wire contract need, and what says that our files are modules. */
function ownDependencies(): string[] {
  const zod = dirname(createRequire(import.meta.url).resolve('zod/package.json'));
  const described = ['../../package.json', '../../../package.json'].map((name) => join(HERE, name));
  return [realpathSync(zod), ...described.filter(existsSync)];
}

/** The directories of all that a package depends on, found as Node finds them. Those that are missing are left out. */
function dependencies(directory: string, known = new Set<string>()): Set<string> {
  const { dependencies: names = {} } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  for (const name of Object.keys(names)) {
    const found = lookUp(directory, name);
    if (found === undefined || known.has(found)) continue;
    known.add(found);
    dependencies(found, known);
  }
  return known;
}

function lookUp(from: string, name: string): string | undefined {
  for (let at = from; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate);
    if (at === dirname(at)) return undefined;
  }
}

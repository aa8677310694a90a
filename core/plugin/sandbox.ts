/**
 * How the child process of a third-party plugin is started: Node's permission model without network, child
 * processes, workers, addons or writing; reading only the package, what it depends on, the host's plugin API and
 * the directories in which files are handed over; an empty environment and no descriptors but three pipes.
 *
 * The permission model follows symbolic links: packages with links that lead out are refused (package-files.ts).
 * It does not hold everything back: what it forgets is switched off here, or taken away in the child (withhold.ts);
 * and around it lies what the host can do for any engine process (confine.ts).
 * Source: https://nodejs.org/api/permissions.html
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { confinement } from '../api/index.ts';
import type { FoundPackage } from './manifest.ts';

const SUFFIX = import.meta.url.slice(-3);
const ENTRY = fileURLToPath(new URL(`./plugin-child${SUFFIX}`, import.meta.url));
const WITHHOLD = fileURLToPath(new URL(`./withhold${SUFFIX}`, import.meta.url));
const HERE = dirname(ENTRY);
const MIB = 1024 * 1024;
/** Parts of Node that the permission model does not hold back: SQLite opens and makes any file. */
const UNCHECKED = ['sqlite', 'ffi', 'webstorage'];

export interface SandboxOptions {
  /** Files, and directories with all below, that the child may read besides its own. */
  readonly readable: readonly string[];
  readonly memoryBytes: number;
}

export async function startChild(
  found: FoundPackage,
  { readable: given, memoryBytes }: SandboxOptions,
): Promise<ChildProcessWithoutNullStreams> {
  const readable = [
    ENTRY,
    WITHHOLD,
    join(HERE, '../api'),
    join(HERE, '../../protocol'),
    ...ownDependencies(),
    ...found.readable,
    ...given,
  ];
  const flags = [
    '--permission',
    ...UNCHECKED.map((name) => `--no-experimental-${name}`),
    '--disable-sigusr1',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    `--max-old-space-size=${Math.floor(memoryBytes / MIB / 2)}`,
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=SecurityWarning',
  ];
  const { around } = await confinement();
  const { program, args } = around({ program: process.execPath, args: [...flags, ENTRY] });
  return spawn(program, [...args], { cwd: '/', env: {}, stdio: 'pipe' });
}

/** Packages that the plugin API and the wire contract need, and what says that our files are modules. */
function ownDependencies(): string[] {
  const zod = dirname(createRequire(import.meta.url).resolve('zod/package.json'));
  const described = ['../../package.json', '../../../package.json'].map((name) => join(HERE, name));
  return [realpathSync(zod), ...described.filter(existsSync)];
}

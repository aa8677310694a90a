/** Finds third-party plugins in configured directories, without running anything of them. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PluginError } from '../api/index.ts';
import { type FoundPackage, readPackage } from './manifest.ts';
import { checkOwner, readDescription } from './package-files.ts';

const NAME = /^lazaret-plugin-/;

/** What was found, and what is not used and why. */
export interface Discovery {
  readonly packages: readonly FoundPackage[];
  readonly refused: readonly { readonly directory: string; readonly error: PluginError }[];
}

/** Each directory is a package itself, or has `node_modules` with packages named `lazaret-plugin-*`. Does not throw. */
export function discover(directories: readonly string[]): Discovery {
  const packages: FoundPackage[] = [];
  const refused: { directory: string; error: PluginError }[] = [];
  /** Undefined when it cannot, which is then told. */
  const look = <Result>(directory: string, at: (directory: string) => Result): Result | undefined => {
    try {
      return at(directory);
    } catch (error) {
      refused.push({ directory, error: asPluginError(directory, error) });
      return undefined;
    }
  };
  for (const candidate of directories.flatMap((directory) => look(directory, candidates) ?? [])) {
    const found = look(candidate, readPackage);
    if (found) packages.push(found);
  }
  return { packages, refused };
}

function candidates(directory: string): string[] {
  checkOwner(directory);
  const modules = join(directory, 'node_modules');
  if (isPlugin(directory) || !existsSync(modules)) return [directory];
  const inModules = entriesOf(modules);
  const scopes = inModules.filter((name) => name.startsWith('@')).map((scope) => join(modules, scope));
  const inScopes = scopes.flatMap((scope) => entriesOf(scope).map((name) => join(scope, name)));
  return [...inModules.map((name) => join(modules, name)), ...inScopes]
    .filter((path) => NAME.test(basename(path)))
    .sort();
}

/** Whoever can write a folder can put a package there. */
function entriesOf(folder: string): string[] {
  checkOwner(folder, statSync(folder));
  return readdirSync(folder);
}

/** A package may itself have node_modules, of its dependencies. */
function isPlugin(directory: string): boolean {
  try {
    return JSON.parse(readDescription(directory))?.lazaret !== undefined;
  } catch {
    return false;
  }
}

function asPluginError(directory: string, cause: unknown): PluginError {
  if (cause instanceof PluginError) return cause;
  const message = `the plugin directory ${directory} cannot be read: ${(cause as Error).message}`;
  return new PluginError('bad-package', message, { cause });
}

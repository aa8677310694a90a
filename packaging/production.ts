/**
 * The dependencies that the host runs with. npm's lock file (version 3) marks what only development needs with
 * `dev`, and lists the builds of native parts for every platform; installed is the one for this one.
 * Source: https://docs.npmjs.com/cli/configuring-npm/package-lock-json
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Entry, filesBelow } from './tree.ts';

export interface Dependency {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Its folder, relative to the project. */
  readonly folder: string;
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { dev?: boolean; optional?: boolean; version?: string; license?: string }>
  >;
}

/** Throws when one is missing that is not optional: such a package would not start. */
export function productionDependencies(root: string): Dependency[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  return Object.entries(packages).flatMap(
    ([folder, { dev, optional, version = '', license = 'unknown' }]) => {
      if (folder === '' || dev) return [];
      if (existsSync(join(root, folder))) {
        return [{ name: folder.slice(folder.lastIndexOf('node_modules/') + 13), version, license, folder }];
      }
      if (optional) return [];
      throw new Error(`${folder} is not installed: npm ci`);
    },
  );
}

/** Of a dependency, what can be loaded, and its licence: no types, source maps, sources of native parts, pages. */
const LOADED = /\.[cm]?js$|\.json$|\.node$|\.wasm$|(^|\/)(licen[cs]e|copying|notice)[^/]*$/i;
/**
 * Builds for another C library; what its authors test with; where builds begin. Of its own first folders only:
 * further in, any name may be that of a module.
 */
const NEVER_LOADED = /^(musl_x64|tests?|benchmarks?|examples?|integration)\/|(^|\/)\.|^cnoke\.cjs$/;

export function dependencyFiles(root: string, path: string): Entry[] {
  return productionDependencies(root).flatMap(({ folder }) =>
    filesBelow(
      join(path, folder),
      join(root, folder),
      (inside) => !inside.startsWith('node_modules/') && LOADED.test(inside) && !NEVER_LOADED.test(inside),
    ),
  );
}

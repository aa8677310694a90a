import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of this package, whether this runs from source or from dist/. */
export const packageRoot: string = findUp(import.meta.dirname);

function findUp(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  const parent = dirname(directory);
  if (parent === directory) throw new Error(`no package.json above ${import.meta.dirname}`);
  return findUp(parent);
}

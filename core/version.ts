import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** This release, as package.json has it: from the sources as well as from what was built of them. */
export const version = readVersion();

function readVersion(): string {
  const file = findPackageJSON('.', import.meta.url);
  if (file === undefined) throw new Error(`no package.json above ${import.meta.dirname}`);
  return String(JSON.parse(readFileSync(file, 'utf8')).version);
}

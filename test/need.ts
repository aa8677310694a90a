/**
 * What a test needs of the machine besides this checkout. A test that does not have it is skipped, and says
 * what is missing and how to get it; where nothing may be skipped (LAZARET_NO_SKIP=1) it fails instead.
 *
 *   describe.runIf(need({ program: 'yara', get: 'apt-get install yara' }))('against the yara program', …)
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Need = { readonly get: string } & (
  | { readonly program: string }
  | { readonly file: string }
  | { readonly what: string; readonly there: boolean }
);

/** Whether all of it is there; throws instead of returning false where nothing may be skipped. */
export function need(...needs: readonly Need[]): boolean {
  const missing = needs.filter((one) => !isThere(one));
  if (missing.length === 0) return true;
  const message = missing.map((one) => `needs ${nameOf(one)}: ${one.get}`).join('; ');
  if (process.env.LAZARET_NO_SKIP === '1') throw new Error(`${message} (LAZARET_NO_SKIP=1 allows no skip)`);
  process.stderr.write(`skipped: ${message}\n`);
  return false;
}

function isThere(one: Need): boolean {
  if ('there' in one) return one.there;
  if ('file' in one) return isAccessible(one.file, constants.R_OK);
  return (process.env.PATH ?? '')
    .split(delimiter)
    .concat('/usr/sbin', '/sbin')
    .some((directory) => isAccessible(join(directory, one.program), constants.X_OK));
}

const nameOf = (one: Need): string => {
  if ('what' in one) return one.what;
  return 'file' in one ? one.file : one.program;
};

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

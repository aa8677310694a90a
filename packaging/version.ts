/** What a package is called and dated by, so that one commit makes the same bytes wherever it is built. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Release {
  /** As package.json has it. */
  readonly version: string;
  /** As Debian writes it: a pre-release sorts before its release by a tilde. */
  readonly debian: string;
  /** Seconds since 1970, for everything in a package that bears a date. */
  readonly epoch: number;
}

export function releaseOf(root: string): Release {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { version, debian: version.replace('-', '~'), epoch: epochOf(root) };
}

/**
 * SOURCE_DATE_EPOCH when it is set (https://reproducible-builds.org/specs/source-date-epoch/), else the time of
 * the last commit. Throws where there is neither: a package of no known date could not be made again.
 */
function epochOf(root: string): number {
  const given = process.env.SOURCE_DATE_EPOCH ?? lastCommit(root);
  if (given !== undefined && /^\d{1,11}$/.test(given)) return Number(given);
  throw new Error(
    given === undefined
      ? 'this is no git checkout: set SOURCE_DATE_EPOCH to the date of the release, in seconds since 1970'
      : `SOURCE_DATE_EPOCH is ${given}: expected seconds since 1970`,
  );
}

function lastCommit(root: string): string | undefined {
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

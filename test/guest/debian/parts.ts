/** What a Debian guest is made of besides what every guest needs: a tree that `.ci/debian-guest` made, and root. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findGuestParts, type GuestParts } from '../../../demo/guest/parts.ts';
import { packageRoot } from '../../../demo/package-root.ts';
import { releaseOf } from '../../../packaging/version.ts';
import type { Need } from '../../need.ts';

export interface DebianParts extends GuestParts {
  /** A small Debian with systemd, as files with their owners. */
  readonly debian: string;
  /** The agent's package. */
  readonly agentPackage: string;
}

/** What the packages are made of, as far as it changes without a new version. */
const SOURCES = {
  lazaret: ['dist/.compiled', 'packaging/host', 'config'],
  'lazaret-agent': ['dist/lazaret-agent', 'packaging/agent', 'config/systemd'],
} as const;
const tree = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lazaret', 'debian-guest', 'tree');

/** Where `npm run package` puts the package of the host or of the agent. */
export function builtPackage(name: 'lazaret' | 'lazaret-agent'): string {
  return join(packageRoot, 'dist', 'packages', `${name}_${releaseOf(packageRoot).debian}_amd64.deb`);
}

/** For `need`: a package that is there, and not older than what it is made of. */
export function packageNeed(name: 'lazaret' | 'lazaret-agent'): Need {
  const made = statSync(builtPackage(name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const there = SOURCES[name].every((source) => newest(join(packageRoot, source)) <= made);
  return { what: `a package ${name} of what is here`, there, get: 'npm run package' };
}

/** When something below a path was last changed; never, as it were, when it is not there. */
function newest(path: string): number {
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status) return Number.POSITIVE_INFINITY;
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(status.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** For `need`: what a test with a Debian guest asks of the machine. */
export function debianNeeds(): Need[] {
  const { missing = [] } = findGuestParts();
  return [
    { what: 'a virtual machine', there: missing.length === 0, get: missing.map(({ get }) => get).join('; ') },
    { what: 'a Debian for guests', there: existsSync(tree), get: 'run .ci/debian-guest as root' },
    { what: 'root', there: process.getuid?.() === 0, get: 'run it as root: it installs packages by chroot' },
    packageNeed('lazaret-agent'),
  ];
}

/** Throws when something is missing; `debianNeeds` says what. */
export function debianParts(): DebianParts {
  const found = findGuestParts();
  if (!found.parts) throw new Error('no virtual machine');
  return { ...found.parts, debian: tree, agentPackage: builtPackage('lazaret-agent') };
}

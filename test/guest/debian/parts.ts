/** What a Debian guest is made of besides what every guest needs: a tree that `.ci/debian-guest` made, and root. */
import { existsSync } from 'node:fs';
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

const tree = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lazaret', 'debian-guest', 'tree');

/** Where `npm run package` puts the package of the host or of the agent. */
export function builtPackage(name: 'lazaret' | 'lazaret-agent'): string {
  return join(packageRoot, 'dist', 'packages', `${name}_${releaseOf(packageRoot).debian}_amd64.deb`);
}

/** For `need`: what a test with a Debian guest asks of the machine. */
export function debianNeeds(): Need[] {
  const { missing = [] } = findGuestParts();
  return [
    { what: 'a virtual machine', there: missing.length === 0, get: missing.map(({ get }) => get).join('; ') },
    { what: 'a Debian for guests', there: existsSync(tree), get: 'run .ci/debian-guest as root' },
    { what: 'root', there: process.getuid?.() === 0, get: 'run it as root: it installs packages by chroot' },
    { file: builtPackage('lazaret-agent'), get: 'npm run package' },
  ];
}

/** Throws when something is missing; `debianNeeds` says what. */
export function debianParts(): DebianParts {
  const found = findGuestParts();
  if (!found.parts) throw new Error('no virtual machine');
  return { ...found.parts, debian: tree, agentPackage: builtPackage('lazaret-agent') };
}

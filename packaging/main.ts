/**
 * Builds the packages into dist/packages: the host service and the agent for Debian, the agent as an archive.
 * Arguments name those that are wanted (host, agent, archive); without any it is all of them.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../demo/package-root.ts';
import { agentPackage, buildArchive } from './agent.ts';
import { buildDeb } from './deb.ts';
import { hostPackage } from './host.ts';
import { releaseOf } from './version.ts';

const release = releaseOf(packageRoot);
const folder = join(packageRoot, 'dist', 'packages');

const BUILDERS: Readonly<Record<string, () => string | Promise<string>>> = {
  host: () => buildDeb(hostPackage(packageRoot), release, folder),
  agent: () => buildDeb(agentPackage(packageRoot), release, folder),
  archive: () => buildArchive(packageRoot, release, folder),
};

async function main(wanted: readonly string[]): Promise<void> {
  const unknown = wanted.filter((name) => !Object.hasOwn(BUILDERS, name));
  if (unknown.length > 0) {
    throw new Error(
      `there is no package ${unknown.join(', ')}; there are: ${Object.keys(BUILDERS).join(', ')}`,
    );
  }
  mkdirSync(folder, { recursive: true });
  for (const [name, build] of Object.entries(BUILDERS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const path = await build();
    process.stdout.write(`${path}  ${(statSync(path).size / 2 ** 20).toFixed(1)} MiB\n`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`package: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

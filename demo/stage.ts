/** Sets the demo's scene, and looks afterwards whether the guest is really rid of what was planted. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DemoGuest } from './guest/guest.ts';
import { type FoundParts, findGuestParts } from './guest/parts.ts';
import { bootGuest } from './guest/qemu.ts';
import { installSystem } from './guest/system.ts';
import { startFolderGuest } from './guest/without-qemu.ts';
import { packageRoot } from './package-root.ts';
import { RUNNING_IMPLANT_PATH, samples } from './samples.ts';
import { plantTree } from './tree.ts';

/** What the host side of the demo needs to find and mend it all. */
export const DEMO_RULES = join(packageRoot, 'demo', 'rules');
export const DEMO_HASHES = join(packageRoot, 'demo', 'hashes', 'demo.txt');
export const DEMO_PATCH = join(packageRoot, 'demo', 'patches', 'sshd-hardening.yaml');

/** The agent as one file, as `npm run build:agent` leaves it. */
export const PACKED_AGENT = join(packageRoot, 'dist', 'lazaret-agent');

export interface Stage {
  readonly guest: DemoGuest;
  /** Files that were planted in it. */
  readonly files: number;
  /** For what the host side keeps, and for contents on their way; removed with the stage. */
  readonly state: string;
  readonly spool: string;
  close(): Promise<void>;
}

/** Why no real guest can be booted, one reason a line; none when it can. */
export function obstacles(found: FoundParts = findGuestParts()): string[] {
  const reasons = (found.missing ?? []).map(({ what, get }) => `${what} is missing: ${get}`);
  if (!existsSync(PACKED_AGENT)) reasons.push('the packed agent is missing: npm run build:agent');
  return reasons;
}

export interface StageRequest {
  readonly withoutQemu: boolean;
  readonly signal: AbortSignal;
}

/** A guest with everything in it, running. In a folder of its own, of which nothing is left after `close`. */
export async function setStage({ withoutQemu, signal }: StageRequest): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'lazaret-demo-'));
  const removeAll = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', removeAll);
  try {
    const tree = join(directory, 'tree');
    const files = plantTree(tree);
    const guest = await startGuest(tree, join(directory, 'guest'), withoutQemu, signal);
    const close = async (): Promise<void> => {
      await guest.close();
      removeAll();
      process.off('exit', removeAll);
    };
    return { guest, files, state: join(directory, 'state'), spool: directory, close };
  } catch (error) {
    removeAll();
    throw error;
  }
}

function startGuest(
  tree: string,
  directory: string,
  withoutQemu: boolean,
  signal: AbortSignal,
): Promise<DemoGuest> {
  mkdirSync(directory, { mode: 0o700 });
  const { parts } = findGuestParts();
  if (withoutQemu || !parts) return startFolderGuest({ tree, directory, signal });
  installSystem(tree, parts, PACKED_AGENT);
  return bootGuest({ parts, tree, directory, signal });
}

/** What is still wrong with the guest, as seen without the agent; nothing when all is well. */
export async function faultsOf(guest: DemoGuest): Promise<string[]> {
  const faults: string[] = [];
  for (const { path } of samples()) {
    if (await guest.read(path)) faults.push(`${path} is still there`);
  }
  if ((await guest.executables()).some((path) => path.startsWith(RUNNING_IMPLANT_PATH))) {
    faults.push('the implant still runs');
  }
  const sshd = (await guest.read('/etc/ssh/sshd_config'))?.toString() ?? '';
  if (!/^PermitRootLogin no$/m.test(sshd) || /^PermitEmptyPasswords yes$/m.test(sshd)) {
    faults.push('sshd is still configured as weakly as before');
  }
  if (!(await guest.read('/etc/sysctl.d/90-hardening.conf')))
    faults.push('the policy is not there as a whole');
  return faults;
}

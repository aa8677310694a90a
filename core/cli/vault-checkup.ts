/** How full the vault is, against its bounds. Nothing is changed. */
import type { Settings } from '../config/index.ts';
import { bytesFor, type DiskFacts, diskFacts } from '../control/vault-room.ts';
import { describeError } from '../error.ts';
import type { VaultIndex, VaultUse } from '../store/vault-index.ts';
import type { Check } from './checkup.ts';
import { formatBytes } from './format.ts';
import { State } from './state.ts';

const NAME = 'vault';
const ALMOST = 0.9;
/** VMs that are named. */
const MOST_NAMED = 10;
const REMEDY =
  'lazaret quarantine list --all shows what lies there, lazaret quarantine purge ID removes it; or raise the bound';

export async function checkVault({
  state: directory,
  vault,
}: Pick<Settings, 'state' | 'vault'>): Promise<Check[]> {
  try {
    using state = State.read(directory);
    if (!state) return [{ name: NAME, status: 'ok', detail: 'nothing in it yet' }];
    const names = new Map(state.vms.list().map(({ id, name }) => [id, name]));
    return vaultChecks(state.vault, vault, await diskFacts(directory), (vm) => names.get(vm) ?? vm);
  } catch (error) {
    return [{ name: NAME, status: 'fail', detail: describeError(error).message }];
  }
}

export function vaultChecks(
  index: Pick<VaultIndex, 'stored' | 'storedByVm'>,
  limits: Settings['vault'],
  disk: DiskFacts,
  nameOf: (vm: string) => string,
): Check[] {
  const bytes = bytesFor(limits, disk);
  const all = check(NAME, index.stored(), { files: limits.maxFiles, bytes: bytes.all });
  const ofVm = { files: limits.perVm.maxFiles, bytes: bytes.vm };
  const crowded = index
    .storedByVm()
    .map(({ vm, ...use }) => check(`${NAME} of ${nameOf(vm)}`, use, ofVm))
    .filter(({ status }) => status !== 'ok');
  const left = crowded.length - MOST_NAMED;
  const rest: Check = { name: NAME, status: 'warn', detail: `${left} more VMs are close to their bounds` };
  return [all, ...floor(limits, disk), ...crowded.slice(0, MOST_NAMED), ...(left > 0 ? [rest] : [])];
}

function check(name: string, use: VaultUse, most: VaultUse): Check {
  const detail = `${use.files} of ${most.files} files, ${formatBytes(use.bytes)} of ${formatBytes(most.bytes)}`;
  const share = Math.max(use.files / most.files, most.bytes > 0 ? use.bytes / most.bytes : 1);
  if (share < ALMOST) return { name, status: 'ok', detail };
  const what = share >= 1 ? 'full, nothing is contained any more' : 'almost full';
  return { name, status: 'warn', detail: `${what}: ${detail}`, remedy: REMEDY };
}

function floor({ keepFree }: Settings['vault'], { free }: DiskFacts): Check[] {
  if (free >= keepFree) return [];
  const detail = `nothing is contained: ${formatBytes(free)} are free, and vault.keepFree is ${formatBytes(keepFree)}`;
  return [{ name: NAME, status: 'warn', detail, remedy: 'make room on the disk of the state directory' }];
}

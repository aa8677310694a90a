/** What a host needs, looked at one by one. Nothing is changed. */
import { constants } from 'node:fs';
import { access, mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KvmState, type ProbeParts, probeKvm } from '../../demo/guest/accelerator.ts';
import type { FoundParts } from '../../demo/guest/parts.ts';
import type { Domain } from '../channel/session.ts';
import type { Settings } from '../config/index.ts';
import { requirePrivate } from '../store/private-place.ts';
import { ownUser } from '../trust.ts';
import { formatBytes } from './format.ts';
import { State } from './state.ts';

export interface Check {
  readonly name: string;
  /** `warn`: what is missing is optional, or may be meant so. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** How to get what is missing. */
  readonly remedy?: string;
}

export const NODE_MAJOR = 26;
const CONNECT_MILLISECONDS = 2_000;
const GROUP_AND_OTHERS = 0o077;

export function checkNode(version: string): Check {
  const name = 'node';
  if (Number(version.split('.')[0]) >= NODE_MAJOR) return { name, status: 'ok', detail: version };
  const remedy = `install Node ${NODE_MAJOR} or newer; in a checkout, npm ci brings it`;
  return { name, status: 'fail', detail: `${version} is too old`, remedy };
}

/** The spool's file system must hold the spool, and should be memory. */
export async function checkSpool({
  directory,
  bytes,
}: Pick<Settings['spool'], 'directory' | 'bytes'>): Promise<Check> {
  const name = 'spool';
  try {
    await access(directory, constants.W_OK);
    const facts = await statfs(directory);
    const free = facts.bavail * facts.bsize;
    const detail = `${directory}: ${formatBytes(free)} free, ${formatBytes(bytes)} wanted`;
    if (free < bytes) {
      return {
        name,
        status: 'fail',
        detail,
        remedy: `make room (mount -o remount,size=1G ${directory}) or lower spool.bytes`,
      };
    }
    const TMPFS_MAGIC = 0x0102_1994;
    if (facts.type === TMPFS_MAGIC) return { name, status: 'ok', detail };
    return {
      name,
      status: 'warn',
      detail: `${detail}; not in memory`,
      remedy: 'set spool.directory to a tmpfs such as /dev/shm',
    };
  } catch (error) {
    return {
      name,
      status: 'fail',
      detail: messageOf(error),
      remedy: 'set spool.directory to a directory that you may write',
    };
  }
}

/** What the demo boots a real guest from; it does without where that is missing. */
export function checkDemoGuest({ parts, missing }: FoundParts): Check[] {
  const name = 'demo guest';
  if (parts) return [{ name, status: 'ok', detail: `${parts.qemu} with ${parts.kernel}` }];
  return missing.map(({ what, get }) => ({
    name,
    status: 'warn',
    detail: `${what} is missing; the demo then has no real guest`,
    remedy: get,
  }));
}

const SWITCH_ON =
  'switch virtualisation on in the firmware, load kvm_intel or kvm_amd, and join the group kvm';
const NESTED =
  'where this host is a virtual machine itself, have its hypervisor give it working nested virtualisation (kvm_intel.nested=1 or kvm_amd.nested=1 there); see dmesg';

/** That the device opens says little: a guest is run, for a moment. `parts` is undefined where QEMU is missing. */
export async function checkKvm(parts: ProbeParts | undefined, device = '/dev/kvm'): Promise<Check> {
  const name = 'kvm';
  if (!(await isAccessible(device, constants.R_OK | constants.W_OK)))
    return {
      name,
      status: 'warn',
      detail: `${device} cannot be opened; the demo emulates its guest`,
      remedy: SWITCH_ON,
    };
  if (!parts) {
    const detail = `${device} opens; whether a guest runs on it cannot be tried without QEMU`;
    return { name, status: 'warn', detail, remedy: 'apt-get install qemu-system-x86 util-linux' };
  }
  const directory = await mkdtemp(join(tmpdir(), 'lazaret-kvm-'));
  try {
    return kvmCheck(await probeKvm(parts, directory, device), device);
  } catch (error) {
    return { name, status: 'warn', detail: `${device} cannot be tried: ${messageOf(error)}` };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function kvmCheck(state: KvmState, device: string): Check {
  const name = 'kvm';
  const trouble = {
    closed: `${device} cannot be opened`,
    hangs: `${device} opens, but a guest on it hangs; the demo emulates its guest`,
    fails: `${device} opens, but QEMU cannot run a guest on it; the demo emulates its guest`,
  } as const;
  if (state === 'runs') return { name, status: 'ok', detail: `${device}, a guest was run on it` };
  return { name, status: 'warn', detail: trouble[state], remedy: state === 'closed' ? SWITCH_ON : NESTED };
}

/** The state directory must be private; one that is not there yet is made at the first scan. */
export async function checkState(directory: string): Promise<Check> {
  const name = 'state';
  try {
    const facts = await stat(directory);
    // Root may look at what is the service's: then all of it must be the service's.
    requirePrivate(directory, ownUser() === 0 ? facts.uid : ownUser());
    if ((facts.mode & GROUP_AND_OTHERS) !== 0) {
      return {
        name,
        status: 'fail',
        detail: `${directory} is open to others`,
        remedy: `chmod 700 ${directory}`,
      };
    }
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return { name, status: 'ok', detail: directory };
  } catch (error) {
    if (isMissing(error))
      return { name, status: 'ok', detail: `${directory} will be made at the first scan` };
    return {
      name,
      status: 'fail',
      detail: messageOf(error),
      remedy: 'run as the user that owns it, or set state to another directory',
    };
  }
}

/** The journal of actions against its hash chain. */
export function checkJournal(directory: string): Check {
  const name = 'journal';
  const remedy =
    'keep a copy of the state directory as evidence, then restore it from a backup or use another one';
  try {
    using state = State.read(directory);
    if (!state) return { name, status: 'ok', detail: 'nothing written yet' };
    const fault = state.journal.verify();
    if (fault !== undefined) return { name, status: 'fail', detail: fault, remedy };
    return { name, status: 'ok', detail: 'the hash chain is whole' };
  } catch (error) {
    return { name, status: 'fail', detail: messageOf(error), remedy };
  }
}

const SHOWN_ROWS = 3;

/** Every row of the database. Those that cannot be read are left out wherever rows are listed. */
export function checkRows(directory: string): Check {
  const name = 'database';
  try {
    using state = State.read(directory);
    if (!state) return { name, status: 'ok', detail: 'nothing written yet' };
    const shown: string[] = [];
    let count = 0;
    for (const { table, key, reason } of state.unreadable()) {
      count += 1;
      if (shown.length < SHOWN_ROWS) shown.push(`${table} ${key} (${reason})`);
    }
    if (count === 0) return { name, status: 'ok', detail: 'every row can be read' };
    const more = count > shown.length ? ` and ${count - shown.length} more` : '';
    const detail = `${count} rows cannot be read and are left out: ${shown.join(', ')}${more}`;
    const remedy =
      'a newer release may have written them: use that one; else restore the database from a backup';
    return { name, status: 'fail', detail, remedy };
  } catch (error) {
    return { name, status: 'fail', detail: messageOf(error), remedy: 'restore the database from a backup' };
  }
}

/** Whether somebody listens at the host's end. Nothing is sent, so the agent is not met. */
export async function checkSocket({ name, socket }: Domain): Promise<Check> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const connection = connect(socket);
  connection.setTimeout(CONNECT_MILLISECONDS, () => resolve('nobody answers'));
  connection.once('connect', () => resolve(''));
  connection.once('error', (error) => resolve(messageOf(error)));
  const fault = await promise;
  connection.destroy();
  if (fault === '') return { name: `vm ${name}`, status: 'ok', detail: socket };
  const remedy = 'start the VM, give it the channel org.lazaret.agent.0, and check who may open its socket';
  return { name: `vm ${name}`, status: 'fail', detail: fault, remedy };
}

async function isAccessible(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

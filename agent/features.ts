/** What this guest can do, as `query features` answers it. */
import { closeSync, readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import { budgetNames, type Features, GuestPath, LIMITS, toPairs } from '../protocol/index.ts';
import type { Agent } from './agent.ts';
import { errnoOf } from './linux/error.ts';
import { fileSystems, MountTable } from './linux/mounts.ts';
import type { Root } from './linux/root.ts';
import type { Readers } from './reader/readers.ts';

const LONGEST_LABEL = 256;
/** The program that tells which package manager there is. */
const PACKAGE_MANAGERS = {
  apt: 'usr/bin/apt-get',
  dnf: 'usr/bin/dnf',
  yum: 'usr/bin/yum',
  zypper: 'usr/bin/zypper',
  apk: 'sbin/apk',
  pacman: 'usr/bin/pacman',
} as const;

/** What files of the guest tell of it. */
export interface SystemFacts {
  readonly os: { readonly id: string; readonly version: string; readonly name: string };
  readonly init: string;
  readonly packageManager?: string;
}

/** Where nothing can be told, because the files do not answer. */
export const UNKNOWN_SYSTEM: SystemFacts = { os: { id: 'linux', version: '', name: 'Linux' }, init: 'none' };

/** Makes calls that can wait: for the reader. */
export function systemFacts(root: Root): SystemFacts {
  const packageManager = Object.entries(PACKAGE_MANAGERS).find(([, program]) => isThere(root, program))?.[0];
  return { os: osRelease(root), init: init(root), ...(packageManager && { packageManager }) };
}

export async function queryFeatures({ root, able, denied, readers }: Agent): Promise<Features> {
  const { os, ...system } = await askForSystem(readers);
  const uid = process.geteuid?.() ?? 0;
  return {
    versions: ['1.0'],
    profiles: ['er'],
    pairs: toPairs([...able].filter((name) => !denied.has(name))),
    'x-lazaret': {
      os: { ...os, kernel: release(), arch: arch() },
      ...system,
      clock: Date.now(),
      privileges: { uid, root: uid === 0 },
      ...fileSystems(MountTable.read(root)),
      denied: [...denied],
      limits: { stagedBytes: LIMITS.stagedBytes, contentFiles: LIMITS.contentFiles },
      budgets: budgetNames,
    },
  };
}

async function askForSystem(readers: Readers): Promise<SystemFacts> {
  const work = readers.work({ kind: 'system' });
  try {
    const { payload } = await work.next();
    return JSON.parse(payload.toString()) as SystemFacts;
  } finally {
    work.end();
  }
}

/** os-release(5); the first place is a link to the second in most systems. */
function osRelease(root: Root): SystemFacts['os'] {
  const text = ['etc/os-release', 'usr/lib/os-release'].map((file) => readText(root, file)).find(Boolean);
  const { ID, VERSION_ID, PRETTY_NAME } = parseAssignments(text ?? '');
  return { id: label(ID ?? 'linux'), version: label(VERSION_ID ?? ''), name: label(PRETTY_NAME ?? 'Linux') };
}

const label = (text: string): string => text.slice(0, LONGEST_LABEL);

export function parseAssignments(text: string): Record<string, string> {
  const found: Record<string, string> = Object.create(null);
  for (const [, key = '', quoted, plain] of text.matchAll(/^([A-Z_]+)=(?:["'](.*)["']|(.*))$/gm)) {
    found[key] = quoted ?? plain ?? '';
  }
  return found;
}

function init(root: Root): string {
  if (isThere(root, 'run/systemd/system')) return 'systemd';
  if (isThere(root, 'run/openrc')) return 'openrc';
  return root.isWhole ? label(readFileSync('/proc/1/comm', 'utf8').trim()) : 'none';
}

/** Undefined when there is no such regular file. */
function readText(root: Root, path: string): string | undefined {
  try {
    const file = root.openRegular(GuestPath.of(`/${path}`));
    if (!file) return undefined;
    try {
      return readFileSync(file.descriptor, 'utf8');
    } finally {
      closeSync(file.descriptor);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function isThere(root: Root, path: string): boolean {
  try {
    closeSync(root.openHandle(GuestPath.of(`/${path}`)));
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

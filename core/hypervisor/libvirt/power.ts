/** Starts, stops and keeps a domain. Runs in the child process. */
import { readDomainXml, readSnapshotXml, snapshotRequestXml } from './domain-xml.ts';
import { Failure, type PowerVerb, type Requests } from './messages.ts';
import * as native from './native.ts';

/** `virDomainState`. */
const [PAUSED, OFF, CRASHED, ASLEEP] = [3, 5, 6, 7];
/** Without it libvirt would ask the guest's own QEMU agent first, and wait for it. */
const SHUTDOWN_ACPI = 1;
const LIST_TOPOLOGICAL = 1 << 10;
/** Saved memory, and what libvirt remembers of snapshots. */
const UNDEFINE_RECORDS = 1 | 2;
const UNDEFINE_NVRAM = 4;
const UNDEFINE_CHECKPOINTS = 16;
const XML_INACTIVE = 2;

/** Succeeds where it is so already. */
export function power(domain: native.Pointer, verb: PowerVerb): void {
  const { state } = native.domainState(domain);
  const active = native.isActive(domain) === 1;
  if (!active && (verb === 'pause' || verb === 'resume')) {
    throw new Failure('not-running', `it is off: it cannot ${verb}; start it first`);
  }
  VERBS[verb](domain, { state, active });
}

interface Now {
  readonly state: number;
  readonly active: boolean;
}

const VERBS: Readonly<Record<PowerVerb, (domain: native.Pointer, now: Now) => void>> = {
  start: (domain, { active, state }) => {
    if (active && state === PAUSED) {
      throw new Failure('still-running', 'it is paused, not off: resume it');
    }
    if (!active) native.create(domain);
  },
  stop: (domain, { active }) => {
    if (active) native.shutdown(domain, SHUTDOWN_ACPI);
  },
  destroy: (domain, { active }) => {
    if (active) native.destroy(domain);
  },
  pause: (domain, { state }) => {
    if (state !== PAUSED) native.suspend(domain);
  },
  resume: (domain, { state }) => {
    if (state === CRASHED || state === ASLEEP || state === OFF) {
      throw new Failure('not-running', 'it crashed, sleeps by its own wish, or went off: it cannot resume');
    }
    if (state === PAUSED) native.resume(domain);
  },
  undefine: (domain, { active }) => {
    if (active) throw new Failure('still-running', 'it still runs: stop or destroy it first');
    const { hasFirmwareVariables } = readDomainXml(native.domainXml(domain, XML_INACTIVE));
    undefine(domain, UNDEFINE_RECORDS | (hasFirmwareVariables ? UNDEFINE_NVRAM : 0));
  },
};

/** Not every driver knows of checkpoints; where it does not, there are none. */
function undefine(domain: native.Pointer, flags: number): void {
  try {
    native.undefine(domain, flags | UNDEFINE_CHECKPOINTS);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'refused') throw error;
    native.undefine(domain, flags);
  }
}

export function snapshot(domain: native.Pointer, name: string): void {
  if (all(domain).some((one) => one.name === name)) {
    throw new Failure('snapshot-exists', 'it has a snapshot of that name: choose another');
  }
  native.freeSnapshot(native.createSnapshot(domain, snapshotRequestXml(name), 0));
}

export function revert(domain: native.Pointer, name: string): void {
  const found = native.snapshotByName(domain, name, 0);
  try {
    native.revertToSnapshot(found, 0);
  } finally {
    native.freeSnapshot(found);
  }
}

export function snapshots(domain: native.Pointer): Requests['snapshots']['answer'] {
  return all(domain).sort((one, other) => one.createdAt - other.createdAt);
}

function all(domain: native.Pointer): Requests['snapshots']['answer'] {
  const found = native.snapshots(domain, LIST_TOPOLOGICAL);
  try {
    return found.map((one) => ({
      ...readSnapshotXml(native.snapshotXml(one, 0)),
      current: native.isCurrentSnapshot(one, 0) === 1,
    }));
  } finally {
    for (const one of found) native.freeSnapshot(one);
  }
}

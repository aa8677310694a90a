/**
 * The objects that events are made of: https://schema.ocsf.io/1.6.0/objects. Text that came from a guest, or
 * through a plugin from its content, stands in them as displayed.
 */
import { displayBytes, displayText, displayWire, type WireBytes } from '../../protocol/index.ts';
import type { FindingRecord, FindingSubject, VmRecord } from '../store/records.ts';

export type OcsfObject = Readonly<Record<string, unknown>>;

const REGULAR_FILE = 1;
const SHA_256 = 3;
const VIRTUAL = 6;
const LINUX = 200;
const OTHER = 99;
const UNKNOWN = 0;
const AFFECTED = 3;
/** Whoever runs a command starts the scan; there is no other way yet. */
const MANUAL = 1;

export const shown = displayWire;

/** Like decodeBytes, but what is no text becomes U+FFFD: a name that a guest made up must not cost the event. */
const bytesOf = (untrusted: WireBytes): Buffer =>
  typeof untrusted === 'string'
    ? Buffer.from(untrusted.toWellFormed(), 'utf8')
    : Buffer.from(untrusted.b64, 'base64');

export function fileObject(
  untrustedPath: WireBytes,
  facts: { readonly sha256?: string | undefined; readonly size?: number } = {},
): OcsfObject {
  const path = bytesOf(untrustedPath);
  return {
    name: displayBytes(path.subarray(path.lastIndexOf(0x2f) + 1)),
    path: displayBytes(path),
    type_id: REGULAR_FILE,
    type: 'Regular File',
    ...(facts.size !== undefined && { size: facts.size }),
    ...(facts.sha256 !== undefined && {
      hashes: [{ algorithm_id: SHA_256, algorithm: 'SHA-256', value: facts.sha256 }],
    }),
  };
}

/** Pid and start time name one process of a guest, until it boots again. */
export const processUid = ({ pid, start }: { readonly pid: number; readonly start: string }): string =>
  `${pid}@${start}`;

type ProcessSubject = Extract<FindingSubject, { kind: 'process' }>;

export function processObject(subject: ProcessSubject): OcsfObject {
  return {
    pid: subject.pid,
    uid: processUid(subject),
    name: shown(subject.name),
    path: shown(subject.executable),
    file: fileObject(subject.executable),
    user: { uid: String(subject.uid) },
  };
}

export const containerObject = ({ runtime, id }: NonNullable<ProcessSubject['container']>): OcsfObject => ({
  uid: displayText(id),
  runtime: displayText(runtime),
});

/** The guest, as the device on which it happened. */
export function deviceObject({ id, name, login, features }: VmRecord): OcsfObject {
  const os = features?.['x-lazaret'].os;
  return {
    uid: id,
    name: displayText(name),
    type_id: VIRTUAL,
    type: 'Virtual',
    hypervisor: 'KVM',
    boot_uid: login.bootId,
    agent_list: [
      {
        uid: login.agent.id,
        name: 'lazaret-agent',
        type_id: OTHER,
        type: 'Guest agent',
        version: displayText(login.agent.version),
      },
    ],
    ...(os && {
      os: {
        name: displayText(os.name),
        type_id: LINUX,
        type: 'Linux',
        version: displayText(os.version),
        kernel_release: displayText(os.kernel),
      },
    }),
  };
}

/** The guest, as the resource that a finding is about. */
export const resourceObject = ({ id, name }: VmRecord): OcsfObject => ({
  uid: id,
  name: displayText(name),
  type: 'Virtual Machine',
  role_id: AFFECTED,
  role: 'Affected',
});

export const scanObject = (uid: string): OcsfObject => ({ uid, type_id: MANUAL, type: 'Manual' });

/** What engines called malicious, and where it was. */
export function malwareObjects({ subject, detections }: FindingRecord): readonly OcsfObject[] {
  const path = shown(subject.kind === 'file' ? subject.path : subject.executable);
  return detections
    .filter(({ judgement }) => judgement === 'malicious')
    .map(({ name, detector }) => ({
      name: displayText(name),
      classification_ids: [UNKNOWN],
      classifications: ['Unknown'],
      provider: displayText(detector),
      path,
    }));
}

/** The rules and lists that matched: each detector is a kind of its own. */
export const analyticObjects = ({ detections }: FindingRecord): readonly OcsfObject[] =>
  detections.map(({ name, detector, description }) => ({
    name: displayText(name),
    category: displayText(detector),
    type_id: OTHER,
    type: displayText(detector),
    ...(description !== undefined && { desc: displayText(description) }),
  }));

/** MITRE ATT&CK techniques; of `T1070.004`, T1070 is the technique. */
export function attackObjects({ detections }: FindingRecord): readonly OcsfObject[] {
  const ids = new Set(detections.flatMap(({ attack }) => attack ?? []));
  return Array.from(ids, (id) => {
    const [technique = id, sub] = displayText(id).split('.');
    return {
      technique: { uid: technique },
      ...(sub !== undefined && { sub_technique: { uid: `${technique}.${sub}` } }),
    };
  });
}

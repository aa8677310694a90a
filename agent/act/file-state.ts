/** How a file is, apart from its content: taken down when it is contained, given back when it is restored. */
import { fchmodSync, fchownSync } from 'node:fs';
import { decodeBytes, encodeBytes, type FileState } from '../../protocol/index.ts';
import { OutcomeError } from '../error.ts';
import { setTimes } from '../linux/calls.ts';
import type { OpenedFile } from '../linux/root.ts';
import { type ExtendedAttribute, readableAttributes, setAttribute } from '../linux/xattr.ts';

const PERMISSIONS = 0o7777;
/** chown(2) takes it for "leave it": the file would stay root's, and perhaps with the set-user-id bit. */
const NO_OWNER = 0xffff_ffff;
/** So that the outcome stays within one message: its owner can load a file with more than fits. */
const MOST_ATTRIBUTES = 128;
const MOST_ATTRIBUTE_BYTES = 384 * 1024;
/** Those that grant or take rights come first; those that any owner can set come last. */
const CLASSES = ['security.', 'system.', 'trusted.', 'user.'];

export interface ReadState {
  readonly state: FileState;
  /** Which extended attributes are not kept with it, in words. */
  readonly lacks?: string;
}

/** What cannot be read or told of a file is left out: it must not keep malware from being taken. */
export function readState({ descriptor, status }: OpenedFile): ReadState {
  const { attributes, unread, isUncounted } = readableAttributes(descriptor);
  const kept: ExtendedAttribute[] = [];
  let bytes = 0;
  for (const attribute of attributes.sort((a, b) => rank(a) - rank(b))) {
    const cost = attribute.name.length + attribute.value.length;
    if (kept.length === MOST_ATTRIBUTES || bytes + cost > MOST_ATTRIBUTE_BYTES) continue;
    kept.push(attribute);
    bytes += cost;
  }
  const xattrs = kept.map(({ name, value }) => ({
    name: encodeBytes(name),
    value: value.toString('base64'),
  }));
  const { uid, gid, atime, mtime } = status;
  const state = { mode: status.mode & PERMISSIONS, uid, gid, atime, mtime, xattrs };
  const lost = unread + attributes.length - kept.length;
  if (isUncounted) return { state, lacks: 'most extended attributes are not kept: it has too many' };
  return lost === 0
    ? { state }
    : { state, lacks: `${lost} extended attributes did not fit and are not kept` };
}

/** The owner first, since changing it drops capabilities and set-id bits; the times last. */
export function applyState(descriptor: number, state: FileState): void {
  if (state.uid === NO_OWNER || state.gid === NO_OWNER) {
    throw new OutcomeError('failed', `no file can be given the owner or group ${NO_OWNER}`);
  }
  fchownSync(descriptor, state.uid, state.gid);
  for (const { name, value } of state.xattrs) {
    setAttribute(descriptor, { name: decodeBytes(name), value: Buffer.from(value, 'base64') });
  }
  fchmodSync(descriptor, state.mode & PERMISSIONS);
  setTimes(descriptor, state.atime, state.mtime);
}

function rank({ name }: ExtendedAttribute): number {
  const text = name.toString('latin1');
  const found = CLASSES.findIndex((prefix) => text.startsWith(prefix));
  return found < 0 ? CLASSES.length : found;
}

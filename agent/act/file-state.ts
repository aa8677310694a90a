/** How a file is, apart from its content: taken down when it is contained, given back when it is restored. */
import { fchmodSync, fchownSync } from 'node:fs';
import type { FileState } from '../../protocol/index.ts';
import { setTimes } from '../linux/calls.ts';
import type { OpenedFile } from '../linux/root.ts';
import { type ExtendedAttribute, readAttributes, setAttribute } from '../linux/xattr.ts';

const PERMISSIONS = 0o7777;
/** So that the outcome stays within one message: its owner can load a file with more than fits. */
const MOST_ATTRIBUTES = 128;
const MOST_ATTRIBUTE_BYTES = 384 * 1024;
/** Those that grant or take rights come first; those that any owner can set come last. */
const CLASSES = ['security.', 'system.', 'trusted.', 'user.'];

export interface ReadState {
  readonly state: FileState;
  /** Extended attributes that did not fit. */
  readonly leftOut: number;
}

export function readState({ descriptor, status }: OpenedFile): ReadState {
  const all = readAttributes(descriptor).sort((a, b) => rank(a) - rank(b));
  const kept: ExtendedAttribute[] = [];
  let bytes = 0;
  for (const attribute of all) {
    const cost = attribute.name.length + attribute.value.length;
    if (kept.length === MOST_ATTRIBUTES || bytes + cost > MOST_ATTRIBUTE_BYTES || !isText(attribute.name))
      continue;
    kept.push(attribute);
    bytes += cost;
  }
  const xattrs = kept.map(({ name, value }) => ({ name: name.toString(), value: value.toString('base64') }));
  const { uid, gid, atime, mtime } = status;
  const state = { mode: status.mode & PERMISSIONS, uid, gid, atime, mtime, xattrs };
  return { state, leftOut: all.length - kept.length };
}

/** The owner first, since changing it drops capabilities and set-id bits; the times last. */
export function applyState(descriptor: number, state: FileState): void {
  fchownSync(descriptor, state.uid, state.gid);
  for (const { name, value } of state.xattrs) {
    setAttribute(descriptor, { name: Buffer.from(name), value: Buffer.from(value, 'base64') });
  }
  fchmodSync(descriptor, state.mode & PERMISSIONS);
  setTimes(descriptor, state.atime, state.mtime);
}

function rank({ name }: ExtendedAttribute): number {
  const text = name.toString('latin1');
  const found = CLASSES.findIndex((prefix) => text.startsWith(prefix));
  return found < 0 ? CLASSES.length : found;
}

const isText = (name: Buffer): boolean => Buffer.from(name.toString()).equals(name);

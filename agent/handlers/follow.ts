/**
 * Where a path leads when the links on it are followed, as chroot(2) in the guest's root would: an absolute link
 * begins there, and `..` never leads out. For the roots of a listing alone, which a person named; what is opened
 * afterwards is opened without following any.
 */
import { closeSync } from 'node:fs';
import { GuestPath } from '../../protocol/index.ts';
import { readOpenLink } from '../linux/calls.ts';
import { SystemError } from '../linux/error.ts';
import type { Root } from '../linux/root.ts';
import { FileStatus } from '../linux/status.ts';

/** As the kernel's own bound (MAXSYMLINKS). */
const MOST_LINKS = 40;
const ELOOP = 40;
const SLASH = 0x2f;

/** Throws SystemError (ENOENT where a link leads nowhere, ELOOP where links never end) and ProtocolError. */
export function follow(root: Root, path: GuestPath): GuestPath {
  const done: Buffer[] = [];
  const ahead = componentsOf(path.bytes);
  let links = 0;
  for (let next = ahead.shift(); next !== undefined; next = ahead.shift()) {
    if (isDots(next, 2)) {
      done.pop();
      continue;
    }
    const target = linkAt(root, pathOf([...done, next]));
    if (target === undefined) {
      done.push(next);
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) throw new SystemError('follow', ELOOP);
    if (target[0] === SLASH) done.length = 0;
    ahead.unshift(...componentsOf(target));
  }
  return pathOf(done);
}

/** What the link at `path` says; undefined when no link stands there. */
function linkAt(root: Root, path: GuestPath): Buffer | undefined {
  const handle = root.openHandle(path);
  try {
    return FileStatus.ofDescriptor(handle).isLink ? Buffer.from(readOpenLink(handle)) : undefined;
  } finally {
    closeSync(handle);
  }
}

/** Without those that name where one is already. */
function componentsOf(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let from = 0; from <= path.length; ) {
    const slash = path.indexOf(SLASH, from);
    const end = slash < 0 ? path.length : slash;
    const part = path.subarray(from, end);
    if (part.length > 0 && !isDots(part, 1)) parts.push(part);
    from = end + 1;
  }
  return parts;
}

const isDots = (part: Buffer, count: number): boolean =>
  part.length === count && part.every((byte) => byte === 0x2e);

const pathOf = (parts: readonly Buffer[]): GuestPath =>
  GuestPath.of(
    Buffer.concat(
      parts.length === 0 ? [Buffer.from('/')] : parts.flatMap((part) => [Buffer.from('/'), part]),
    ),
  );

/** Mounted file systems that can hold files, from /proc/self/mountinfo (proc(5)). */
import { readFileSync } from 'node:fs';
import { encodeBytes, type WireBytes } from '../../protocol/index.ts';
import type { Root } from './root.ts';

const MOST = 256;
const LONGEST_TYPE = 256;

/** What the kernel shows of itself: no file there was put by anybody. */
const KERNEL_TYPES: ReadonlySet<string> = new Set(
  `autofs binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts efivarfs fusectl hugetlbfs mqueue
   nfsd nsfs proc pstore resctrl rpc_pipefs securityfs selinuxfs smackfs sysfs tracefs`.split(/\s+/),
);

export interface FileSystem {
  readonly path: WireBytes;
  readonly type: string;
}

export interface Mount {
  /** Names it among all mounts of this machine, in whatever namespace, while it is there. */
  readonly id: string;
  readonly path: Buffer;
  readonly type: string;
}

/** Mount points as seen from the root, the one that the root lies on first. */
export function fileSystems(root: Root): FileSystem[] {
  const mounts = parseMountInfo(readFileSync('/proc/self/mountinfo'));
  const own = mounts.findLast(({ path }) => holds(path, Buffer.from(root.path)));
  const found = new Map<string, Mount>();
  if (own) found.set('/', { ...own, path: Buffer.from('/') });
  for (const mount of mounts) {
    const inside = root.inside(mount.path);
    // A later mount hides an earlier one on the same place.
    if (inside && inside.length > 1) found.set(inside.toString('latin1'), { ...mount, path: inside });
  }
  return [...found.values()]
    .filter(({ type }) => !KERNEL_TYPES.has(type))
    .slice(0, MOST)
    .map(({ path, type }) => ({ path: encodeBytes(path), type: type.slice(0, LONGEST_TYPE) }));
}

export function parseMountInfo(text: Buffer): Mount[] {
  const lines = text.toString('latin1').split('\n').filter(Boolean);
  return lines.map((line) => {
    const [mount = '', superBlock = ''] = line.split(' - ');
    const [id = '', , , , path = ''] = mount.split(' ');
    return { id, path: withoutEscapes(path), type: superBlock.split(' ')[0] ?? '' };
  });
}

/** Space, tab, newline and backslash stand as three octal digits. */
function withoutEscapes(latin1: string): Buffer {
  const text = latin1.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(text, 'latin1');
}

/** Whether a path lies at a mount point or below it. */
export function holds(mountPoint: Buffer, path: Buffer): boolean {
  if (mountPoint.equals(Buffer.from('/'))) return true;
  const start = path.subarray(0, mountPoint.length + 1);
  return start.equals(mountPoint) || start.equals(Buffer.concat([mountPoint, Buffer.from('/')]));
}

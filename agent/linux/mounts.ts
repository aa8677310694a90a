/** Mounted file systems that can hold files, from /proc/self/mountinfo (proc(5)). */
import { readFileSync } from 'node:fs';
import { encodeBytes, LIMITS, type WireBytes } from '../../protocol/index.ts';
import type { Root } from './root.ts';

const LONGEST_TYPE = 256;
/** What is told of mounts shares one message with all else that is told of the guest. */
const MOST_BYTES = 512 * 1024;
const SLASH = Buffer.from('/');

/** What the kernel shows of itself: no file there was put by anybody. */
const KERNEL_TYPES: ReadonlySet<string> = new Set(
  `autofs binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts efivarfs fusectl hugetlbfs mqueue
   nfsd nsfs proc pstore resctrl rpc_pipefs securityfs selinuxfs smackfs sysfs tracefs`.split(/\s+/),
);

export interface FileSystem {
  readonly path: WireBytes;
  readonly type: string;
}

export interface MountPoint {
  /** As seen from the root, in a `MountTable`. */
  readonly path: Buffer;
  readonly type: string;
}

export interface Mount extends MountPoint {
  /** Names it among all mounts of this machine, in whatever namespace, while it is there. */
  readonly id: string;
}

/** File systems that trigger other mounts when they are entered: to look into one has effects. */
export const AUTOMOUNT = 'autofs';

/** Whether a file system is the kernel's own show, in which nobody can put a file. */
export const isKernels = (type: string): boolean => KERNEL_TYPES.has(type);

/** What was mounted where at one moment. To read it waits for no file system. */
export class MountTable {
  /** By mount point, in latin1. */
  private readonly mounts = new Map<string, MountPoint>();
  /** By directory, then by name. */
  private readonly byDirectory = new Map<string, Map<string, MountPoint>>();

  constructor(mounts: Iterable<MountPoint>) {
    for (const mount of mounts) {
      const path = mount.path.toString('latin1');
      const slash = path.lastIndexOf('/');
      const directory = path.slice(0, Math.max(1, slash));
      // A later mount hides an earlier one on the same place.
      this.mounts.delete(path);
      this.mounts.set(path, mount);
      if (path === '/') continue;
      const here = this.byDirectory.get(directory) ?? new Map<string, MountPoint>();
      this.byDirectory.set(directory, here.set(path.slice(slash + 1), mount));
    }
  }

  /** As seen from the root: what the root lies on is mounted at `/`. */
  static read(root: Root): MountTable {
    const mounts = parseMountInfo(readFileSync('/proc/self/mountinfo'));
    const own = mounts.findLast(({ path }) => holds(path, Buffer.from(root.path)));
    const inside = mounts.flatMap(({ path, type }) => {
      const seen = root.inside(path);
      return seen && seen.length > 1 ? [{ path: seen, type }] : [];
    });
    return new MountTable([...(own ? [{ path: SLASH, type: own.type }] : []), ...inside]);
  }

  *[Symbol.iterator](): Generator<MountPoint> {
    yield* this.mounts.values();
  }

  /** The mount points in a directory, by their names in latin1. */
  in(directory: Buffer): ReadonlyMap<string, MountPoint> | undefined {
    return this.byDirectory.get(directory.toString('latin1'));
  }

  /** What a path lies on: the innermost mount above it. */
  holding(path: Buffer): MountPoint | undefined {
    for (let at = path.toString('latin1'); ; at = at.slice(0, at.lastIndexOf('/'))) {
      const mount = this.mounts.get(at === '' ? '/' : at);
      if (mount || at === '' || at === '/') return mount;
    }
  }
}

/** What is told of the mounted file systems that can hold files of the guest. */
export interface ToldFileSystems {
  readonly fileSystems: FileSystem[];
  /** How many more there are than can be told. */
  readonly moreFileSystems?: number;
}

/** The one that the root lies on first. */
export function fileSystems(mounts: MountTable): ToldFileSystems {
  const own = [...mounts].filter(({ type }) => !KERNEL_TYPES.has(type));
  const told: FileSystem[] = [];
  let bytes = 0;
  for (const { path, type } of own) {
    const each = { path: encodeBytes(path), type: type.slice(0, LONGEST_TYPE) };
    bytes += Buffer.byteLength(JSON.stringify(each));
    if (told.length === LIMITS.fileSystems || bytes > MOST_BYTES) break;
    told.push(each);
  }
  const more = own.length - told.length;
  return { fileSystems: told, ...(more > 0 && { moreFileSystems: more }) };
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

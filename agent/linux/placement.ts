/**
 * Where the executable of a process stands as the guest sees it, not as the process does. /proc/PID/exe shows a
 * path in the mount namespace of the file: any user makes one of his own (unshare -Urm), mounts a file over
 * /usr/bin/bash in there, and has it shown as /usr/bin/bash. So does a file on a mount that was taken off while it
 * ran (fusermount -uz), and one that was opened through /proc/PID/root of such a process and run by its descriptor.
 *
 * A path counts when the file lies on a mount of the guest's own namespace, at or below the place of that mount; or
 * when the very same file (device and inode) stands at that path in the guest: many services have a namespace
 * of their own with the guest's mounts in it (PrivateTmp= of systemd.exec(5)). Mounts are known by their ids
 * (mount_namespaces(7), proc(5): mountinfo, fdinfo), which no two mounts have at a time.
 */
import { closeSync, readFileSync, readlinkSync } from 'node:fs';
import { GuestPath } from '../../protocol/index.ts';
import { errnoOf } from './error.ts';
import { holds, type Mount, parseMountInfo } from './mounts.ts';
import type { Executable } from './process.ts';
import type { Root } from './root.ts';
import { FileStatus } from './status.ts';

/** A walk that asks no file system can be turned away because another process renames something at that moment. */
const TRIES = 3;
const SLASH = 0x2f;

export class Placement {
  private readonly root: Root;
  private readonly mounts: ReadonlyMap<string, Mount>;
  private readonly namespace: string | undefined;

  /** What is mounted at this moment in the guest: as its init sees it or, where not all is served, as we do. */
  constructor(root: Root) {
    this.root = root;
    const own = readMounts('self') ?? [];
    const init = (root.isWhole && readMounts('1')) || own;
    this.mounts = new Map(init.map((mount) => [mount.id, mount]));
    // No mount is in two namespaces.
    this.namespace = namespaceOf(init[0]?.id === own[0]?.id ? 'self' : '1');
  }

  /** Whether a process sees other mounts than the guest does; undefined where that may not be known. */
  isForeign(pid: number): boolean | undefined {
    const own = namespaceOf(String(pid));
    return own === undefined || this.namespace === undefined ? undefined : own !== this.namespace;
  }

  /** Whether the path of an executable is its path in the guest or, when it is deleted, was so. */
  isPlaced(executable: Executable): boolean {
    if (executable.inMemory) return false;
    const mount = this.mounts.get(executable.mount);
    // Ids are given anew: a mount that took the id of another since then still does not lie where that one did.
    if (mount && holds(mount.path, executable.path)) return true;
    return !executable.deleted && this.stands(executable);
  }

  /** The path leads where a user of the guest wants it to, perhaps to a file system that never answers. */
  private stands({ path, dev, ino }: Executable): boolean {
    const inside = this.root.inside(path);
    if (inside?.[0] !== SLASH) return false;
    for (let tried = 0; tried < TRIES; tried++) {
      try {
        const handle = this.root.openHandle(GuestPath.of(inside), { cachedOnly: true });
        try {
          const status = FileStatus.ofHandle(handle);
          return status.dev === dev && status.ino === ino;
        } finally {
          closeSync(handle);
        }
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === undefined) throw error;
        if (errno !== 'EAGAIN') return false;
      }
    }
    return false;
  }
}

function readMounts(process: string): Mount[] | undefined {
  return unlessHidden(() => parseMountInfo(readFileSync(`/proc/${process}/mountinfo`)));
}

function namespaceOf(process: string): string | undefined {
  return unlessHidden(() => readlinkSync(`/proc/${process}/ns/mnt`));
}

function unlessHidden<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

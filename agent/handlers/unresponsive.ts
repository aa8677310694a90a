/** Places in the guest from which no call comes back, and how they are told of. */
import { decodeBytes, displayBytes, type WireBytes } from '../../protocol/index.ts';
import type { MountPoint, MountTable } from '../linux/mounts.ts';

const LONGEST_DETAIL = 256;

/** `what` went wrong, and on which mount. */
export function unresponsiveDetail(
  mount: MountPoint | undefined,
  what = 'a call on it did not come back',
): string {
  const where = mount ? `: ${displayBytes(mount.path)} (${displayBytes(Buffer.from(mount.type))})` : '';
  return `${what}${where}`.slice(0, LONGEST_DETAIL);
}

export class Unresponsive {
  private readonly mounts: MountTable;
  private readonly points: ReadonlySet<string>;
  private readonly paths: ReadonlySet<string>;

  /** `points`: mount points, for all below; `paths` stand for themselves. */
  constructor(mounts: MountTable, points: readonly WireBytes[], paths: readonly WireBytes[]) {
    this.mounts = mounts;
    this.points = new Set(points.map((path) => keyOf(decodeBytes(path))));
    this.paths = new Set(paths.map((path) => keyOf(decodeBytes(path))));
  }

  /** Whether any single path is one, so that entries of directories must be looked at. */
  get hasPaths(): boolean {
    return this.paths.size > 0;
  }

  has(path: Buffer): boolean {
    if (this.paths.size > 0 && this.paths.has(keyOf(path))) return true;
    if (this.points.size === 0) return false;
    const mount = this.mounts.holding(path);
    return mount !== undefined && this.points.has(keyOf(mount.path));
  }
}

const keyOf = (path: Buffer): string => path.toString('latin1');

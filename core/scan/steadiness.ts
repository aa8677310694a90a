/**
 * Whether "its metadata is unchanged" can stand for "its content is unchanged". It cannot
 *
 * - on file systems that do not change a file's ctime with each change of its content: on tmpfs, a mapping of
 *   a file can be written through for ever without a trace in its times; FUSE shows what its program wants;
 *   FAT has no ctime. So those that are known to be sound are named, and any other is not trusted.
 * - while a file is young. Times have the granularity of a clock tick, so that a change right after the last
 *   one may leave no trace; and a page that was written through a mapping leaves a trace only once, until it
 *   has been written to disk, which Linux begins after 30 seconds. So a file whose ctime is younger than a
 *   minute (`policy.knownContent.settleTime`), by the guest's own clock, is not kept as unchanged.
 */
import { decodeBytes, type Features } from '../../protocol/index.ts';

const SOUND: ReadonlySet<string> = new Set(
  'bcachefs btrfs erofs ext2 ext3 ext4 f2fs iso9660 jfs nilfs2 overlay squashfs xfs zfs'.split(' '),
);

/** A system has some hundred devices; a guest can name another one in every line. */
const REMEMBERED_DEVICES = 1_024;

export class Steadiness {
  /** Mount points with a slash at their end, and whether they are sound; the longest first. */
  private readonly mounts: readonly (readonly [Buffer, boolean])[];
  private readonly soundDevices = new Map<string, boolean>();
  /** Seconds since 1970. */
  private readonly oldBefore: number;

  constructor(features: Features, settleMs: number) {
    const { fileSystems, clock } = features['x-lazaret'];
    this.mounts = fileSystems
      .map(({ path, type }) => [withSlash(decodeBytes(path)), SOUND.has(type)] as const)
      .toSorted(([one], [other]) => other.length - one.length);
    // An agent that does not tell its time gives nothing to compare with.
    this.oldBefore = clock === undefined ? -Infinity : (clock - settleMs) / 1000;
  }

  get devicesHeld(): number {
    return this.soundDevices.size;
  }

  /** Whether ctimes of files in this directory can be relied on; one answer for each device number. */
  isSound(directory: Buffer, dev: string): boolean {
    const known = this.soundDevices.get(dev);
    if (known !== undefined) return known;
    const place = withSlash(directory);
    const mount = this.mounts.find(([point]) => place.subarray(0, point.length).equals(point));
    const isSound = mount?.[1] ?? false;
    if (this.soundDevices.size >= REMEMBERED_DEVICES) this.soundDevices.clear();
    this.soundDevices.set(dev, isSound);
    return isSound;
  }

  /** `ctime`: seconds since 1970 with nine decimals. */
  isOld(ctime: string): boolean {
    return Number(ctime) < this.oldBefore;
  }
}

const withSlash = (path: Buffer): Buffer =>
  path.at(-1) === 0x2f ? path : Buffer.concat([path, Buffer.from('/')]);

/**
 * A file's status as statx(2) lays it out (struct statx, include/uapi/linux/stat.h). Read straight from the
 * bytes, since a listing of millions of files has no time for objects of big integers.
 */
import { constants } from 'node:fs';
import { MOST_COUNTED, type SentFileFacts, sizeOnWire, type WireSize } from '../../protocol/index.ts';
import { statxAt, statxDescriptor, statxHandle } from './calls.ts';
import { nativeBuffer } from './memory.ts';

export const STATX_BYTES = 256;

const NLINK = 16;
const UID = 20;
const GID = 24;
const MODE = 28;
const INO = 32;
const SIZE = 40;
const ATIME = 64;
const CTIME = 96;
const MTIME = 112;
const DEV_MAJOR = 136;
const DEV_MINOR = 140;

/** With a high half in this range, a 64-bit number is exact as a number of JavaScript. */
const EXACT_HIGH = 2 ** 20;
const MOST_NANOSECONDS = 999_999_999;

export class FileStatus {
  private readonly bytes = nativeBuffer(STATX_BYTES);

  static ofDescriptor(descriptor: number): FileStatus {
    const status = new FileStatus();
    status.readDescriptor(descriptor);
    return status;
  }

  /** Of what a handle (O_PATH) names; no file system is asked, as one may never answer. */
  static ofHandle(handle: number): FileStatus {
    const status = new FileStatus();
    statxHandle(handle, status.bytes);
    return status;
  }

  /** Takes the status of an open file in place of what this held. */
  readDescriptor(descriptor: number): void {
    statxDescriptor(descriptor, this.bytes);
  }

  /** Takes the status of `name` (NUL-terminated, links not followed) in place of what this held. */
  readAt(directory: number, name: Uint8Array): void {
    statxAt(directory, name, this.bytes);
  }

  get isRegular(): boolean {
    return this.isKind(constants.S_IFREG);
  }

  get isDirectory(): boolean {
    return this.isKind(constants.S_IFDIR);
  }

  get isLink(): boolean {
    return this.isKind(constants.S_IFLNK);
  }

  /** As stat(2) gives st_dev (gnu_dev_makedev). */
  get dev(): string {
    const major = this.bytes.readUInt32LE(DEV_MAJOR);
    const minor = this.bytes.readUInt32LE(DEV_MINOR);
    if (major < 0x1000 && minor < 0x100) return String(major * 0x100 + minor);
    const [wideMajor, wideMinor] = [BigInt(major), BigInt(minor)];
    return String(
      ((wideMajor & 0xfffff000n) << 32n) |
        ((wideMajor & 0xfffn) << 8n) |
        ((wideMinor & 0xffffff00n) << 12n) |
        (wideMinor & 0xffn),
    );
  }

  get ino(): string {
    return this.uint64(INO);
  }

  /** Saturates at 2^53 - 1. */
  get size(): number {
    const size = this.bytes.readUInt32LE(SIZE + 4) * 0x1_0000_0000 + this.bytes.readUInt32LE(SIZE);
    return Math.min(size, MOST_COUNTED);
  }

  /** To the byte, whatever it is. */
  get wireSize(): WireSize {
    const { size } = this;
    return size < MOST_COUNTED ? size : sizeOnWire(this.bytes.readBigUInt64LE(SIZE));
  }

  /** Type and permission bits. */
  get mode(): number {
    return this.bytes.readUInt16LE(MODE);
  }

  get uid(): number {
    return this.bytes.readUInt32LE(UID);
  }

  get gid(): number {
    return this.bytes.readUInt32LE(GID);
  }

  get links(): number {
    return this.bytes.readUInt32LE(NLINK);
  }

  get atime(): string {
    return this.time(ATIME);
  }

  get mtime(): string {
    return this.time(MTIME);
  }

  get ctime(): string {
    return this.time(CTIME);
  }

  /** Device and inode, as a key. */
  get identity(): string {
    return `${this.dev}:${this.ino}`;
  }

  facts(): SentFileFacts {
    const { dev, ino, wireSize: size, mtime, ctime, mode, uid, gid, links } = this;
    return { dev, ino, size, mtime, ctime, mode, uid, gid, links };
  }

  private isKind(kind: number): boolean {
    return (this.mode & constants.S_IFMT) === kind;
  }

  private uint64(at: number): string {
    const high = this.bytes.readUInt32LE(at + 4);
    if (high === 0) return String(this.bytes.readUInt32LE(at));
    return String(this.bytes.readBigUInt64LE(at));
  }

  /** Older kernels pass on what a FUSE server gives for nanoseconds; the newer ones cut it as is done here. */
  private time(at: number): string {
    const high = this.bytes.readInt32LE(at + 4);
    const isExact = high >= -EXACT_HIGH && high < EXACT_HIGH;
    const seconds = isExact
      ? high * 0x1_0000_0000 + this.bytes.readUInt32LE(at)
      : this.bytes.readBigInt64LE(at);
    const nanoseconds = Math.min(this.bytes.readUInt32LE(at + 8), MOST_NANOSECONDS);
    return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
  }
}

/**
 * A device or inode number that node:fs gave, as statx has it: node:fs gives 64 bits with a sign, and file systems do
 * use the highest bit (overlayfs with `xino`, FUSE as it likes).
 */
export const unsigned = (bits: bigint): string => String(BigInt.asUintN(64, bits));

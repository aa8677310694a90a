/** The attributes of an inode (chattr(1)) that keep even root from changing or removing it. */
import type { FileFlag } from '../../protocol/index.ts';
import { getInodeFlags, setInodeFlags } from './calls.ts';
import { type Errno, errnoOf } from './error.ts';

const BITS: Readonly<Record<FileFlag, number>> = { immutable: 0x10, 'append-only': 0x20 };
const NAMES = Object.keys(BITS) as FileFlag[];

/** What file systems say that know no such attributes. */
const ABSENT: ReadonlySet<Errno | undefined> = new Set<Errno>([
  'ENOTTY',
  'EOPNOTSUPP',
  'ENOTSUP',
  'ENOSYS',
  'EINVAL',
]);

export const isWithoutFlags = (error: unknown): boolean => ABSENT.has(errnoOf(error));

/** Those that are set; none where the file system has no such thing. */
export function readFlags(descriptor: number): FileFlag[] {
  try {
    const bits = getInodeFlags(descriptor);
    return NAMES.filter((name) => (bits & BITS[name]) !== 0);
  } catch (error) {
    if (isWithoutFlags(error)) return [];
    throw error;
  }
}

/** Throws SystemError. */
export function clearFlags(descriptor: number, flags: readonly FileFlag[]): void {
  setInodeFlags(descriptor, getInodeFlags(descriptor) & ~bitsOf(flags));
}

/** Sets these besides those that are set. Throws SystemError. */
export function setFlags(descriptor: number, flags: readonly FileFlag[]): void {
  setInodeFlags(descriptor, getInodeFlags(descriptor) | bitsOf(flags));
}

const bitsOf = (flags: readonly FileFlag[]): number => flags.reduce((bits, flag) => bits | BITS[flag], 0);

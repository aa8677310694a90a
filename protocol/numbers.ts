/**
 * Numbers that a guest's kernel gives, each as wide as its C type: whoever may write a file in the guest decides
 * many of them (`truncate -s 8E`, `touch -d @1000000000000`), and none of them may cost more than that file.
 *
 *   uint64    inodes, device numbers, start times: decimal strings, since JSON readers round past 2^53
 *   uint32    owners, modes, link counts: JSON numbers
 *   fileSize  bytes of one file (loff_t) or of many: a JSON number up to 2^53 - 1, a decimal string beyond. What is
 *             read is a number that saturates there (`count.ts`): no size past it is fetched by anybody
 *   fileTime  seconds since 1970 (time64_t, from -2^63 to 2^63 - 1) with nine decimals, which are added to them: half
 *             a second before 1970 is "-1.500000000". No `Date` and no other number holds all of them
 */
import { z } from 'zod';
import { MOST_COUNTED } from './count.ts';

export const uint64 = z.string().regex(/^(0|[1-9]\d{0,19})$/);
export const uint32 = z.int().min(0).max(0xffff_ffff);
export const fileTime = z.string().regex(/^-?\d{1,19}\.\d{9}$/);

export const fileSize = z
  .union([z.int().min(0), uint64])
  .transform((size) => (typeof size === 'number' ? size : saturated(size)));

/** What `fileSize` reads. */
export type WireSize = number | string;

/** The size as it travels. */
export const sizeOnWire = (size: bigint): WireSize =>
  size <= BigInt(MOST_COUNTED) ? Number(size) : String(size);

const saturated = (digits: string): number => Math.min(Number(digits), MOST_COUNTED);

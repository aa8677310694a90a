/**
 * Memory that system calls are given. A foreign function sees an address only: what stands there must outlive
 * the call, and a temporary buffer may be collected while the other arguments are still being converted. So
 * what a call takes lies in buffers that live as long as the program, or that the caller still uses afterwards.
 */
import { SystemError } from './error.ts';

const PATH_MAX = 4096;
const ENAMETOOLONG = 36;

/** Never moved and, kept in a constant, never freed. */
export const nativeBuffer = (bytes: number): Buffer => Buffer.from(new ArrayBuffer(bytes));

const names = { first: nativeBuffer(PATH_MAX + 1), second: nativeBuffer(PATH_MAX + 1) };

/**
 * A name with the NUL that C wants, valid until the next one. A call that takes two names has the other one in
 * the second place. A NUL inside would silently cut the name, and is refused.
 */
export function cString(bytes: Uint8Array, place: keyof typeof names = 'first'): Buffer {
  if (bytes.includes(0)) throw new RangeError('a name contains NUL');
  if (bytes.length > PATH_MAX) throw new SystemError('name', ENAMETOOLONG);
  const name = names[place];
  name.set(bytes);
  name[bytes.length] = 0;
  return name;
}

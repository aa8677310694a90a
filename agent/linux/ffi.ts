/**
 * Functions of the C library, called directly: Node has no openat2, getdents64, renameat2, extended attributes
 * or pidfds. One interface, with a backend for each runtime that the agent is delivered on.
 */

export type NativeType = 'i32' | 'u32' | 'u64' | 'buffer';
export type NativeFunction = (...args: (number | bigint | Uint8Array)[]) => number;

export interface Libc {
  /** A function that returns int. A `buffer` must be as long as the callee reads or writes; u64 is a bigint. */
  bind(symbol: string, parameters: readonly NativeType[]): NativeFunction;
  /** Of the call just made in this thread; meaningless after one that did not fail. */
  errno(): number;
}

const backend = 'bun' in process.versions ? await import('./ffi-bun.ts') : await import('./ffi-node.ts');

export const libc: Libc = backend.libc;

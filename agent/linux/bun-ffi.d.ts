/** The part of Bun's own foreign function interface that is used here (https://bun.com/docs/runtime/ffi). */
declare module 'bun:ffi' {
  export function dlopen(
    library: string,
    symbols: Record<string, { args: readonly string[]; returns: string }>,
  ): { symbols: Record<string, (...args: (number | bigint | Uint8Array)[]) => number> };
  export const read: { i32(pointer: number, offset: number): number };
}

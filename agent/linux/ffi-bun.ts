import { dlopen, read } from 'bun:ffi';
import type { Libc, NativeFunction } from './ffi.ts';

const LIBRARY = 'libc.so.6';

function load(symbol: string, args: readonly string[], returns: string): NativeFunction {
  const found = dlopen(LIBRARY, { [symbol]: { args, returns } }).symbols[symbol];
  if (!found) throw new Error(`${LIBRARY} has no ${symbol}`);
  return found;
}

const errnoAddress = load('__errno_location', [], 'ptr')();

export const libc: Libc = {
  bind: (symbol, parameters) => load(symbol, parameters, 'i32'),
  errno: () => read.i32(errnoAddress, 0),
};

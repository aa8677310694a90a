import type { Libc } from './ffi.ts';

// Not imported: the agent is also bundled for a runtime that has no such module.
const { dlopen, getInt32 } = process.getBuiltinModule('node:ffi');

const LIBRARY = 'libc.so.6';
// The address is fixed for the life of the thread; reading it there needs no call that could disturb it.
const errnoAddress = dlopen(LIBRARY, {
  __errno_location: { arguments: [], return: 'pointer' },
}).functions.__errno_location();

/** Kept, since a function is valid only as long as its library handle. */
const handles: unknown[] = [];

export const libc: Libc = {
  bind: (symbol, parameters) => {
    // A handle of its own for each, since one handle knows a symbol by one signature only.
    const { lib } = dlopen(LIBRARY);
    handles.push(lib);
    return lib.getFunction(symbol, { arguments: parameters, return: 'i32' }) as (
      ...args: unknown[]
    ) => number;
  },
  errno: () => getInt32(errnoAddress, 0),
};

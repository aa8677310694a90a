/**
 * What Node's permission model leaves open, taken away before code of a plugin is loaded. It runs as the user that
 * the host runs as, and so could signal the host, or any process of that user, and slow it down.
 */
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import process from 'node:process';
import v8 from 'node:v8';

const WITHHELD: readonly (readonly [object, readonly string[]])[] = [
  [process, ['kill', '_kill', '_debugProcess', '_debugEnd', 'dlopen', 'execve']],
  [process, ['setuid', 'seteuid', 'setgid', 'setegid', 'setgroups', 'initgroups']],
  [os, ['setPriority']],
  // Flags such as those that open V8's own functions to JavaScript.
  [v8, ['setFlagsFromString']],
];

/** For good: it cannot be undone in this process. */
export function withhold(): void {
  for (const [owner, names] of WITHHELD) {
    for (const name of names) {
      if (name in owner)
        Object.defineProperty(owner, name, { value: undefined, writable: false, configurable: false });
    }
  }
  syncBuiltinESMExports();
}

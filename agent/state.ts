/**
 * The state directory (0700): who this agent is, which host it obeys, the highest epoch it has seen, the
 * commands that it was given, and what the host stages. What is written there is durable before it counts.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, StartError } from './error.ts';
import { errnoOf } from './linux/error.ts';

export function defaultStateDirectory(): string {
  if (process.geteuid?.() === 0) return '/var/lib/lazaret-agent';
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'lazaret-agent');
}

/** Makes sure of a directory that only we can enter; throws StartError (`no-state`). */
export function openStateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { uid } = lstatSync(path);
    if (uid !== process.geteuid?.()) throw new Error(`it belongs to user ${uid}`);
    chmodSync(path, 0o700);
  } catch (cause) {
    const message = `the state directory ${path} cannot be used: ${messageOf(cause)}; choose one with --state`;
    throw new StartError('no-state', message, { cause });
  }
}

/** The text of a file, or undefined when there is none yet. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Puts a file (0600) in place whole and durably: after a crash there is the old one or the new one. */
export function writeDurably(directory: string, name: string, text: string): void {
  const unfinished = join(directory, `.${name}.new`);
  const file = openSync(unfinished, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(unfinished, join(directory, name));
  syncDirectory(directory);
}

/** Removes files, and makes sure that they stay removed. */
export function removeDurably(directory: string, ...names: readonly string[]): void {
  for (const name of names) rmSync(join(directory, name), { force: true });
  syncDirectory(directory);
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * One process at a time changes a state directory. The lock is an exclusive transaction on an empty SQLite
 * file of its own: the kernel drops it when its holder dies, however it dies, so nothing stale is left
 * behind, and readers of the database proper are not held up. The holder's pid stands beside it for people.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../error.ts';
import { isBusy, toStoreError } from './sqlite-error.ts';

export class StateLock {
  private readonly file: DatabaseSync;

  private constructor(file: DatabaseSync) {
    this.file = file;
  }

  /** Throws StoreError `in-use` when another process, or this one, holds it already. */
  static take(directory: string): StateLock {
    const pidFile = join(directory, 'lazaret.pid');
    const file = openLockFile(join(directory, 'lazaret.lock'));
    try {
      file.exec('BEGIN EXCLUSIVE');
      writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
    } catch (cause) {
      file.close();
      if (isBusy(cause)) throw inUse(directory, pidFile, cause);
      throw toStoreError(cause, directory);
    }
    return new StateLock(file);
  }

  release(): void {
    this.file.close();
  }
}

function openLockFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (cause) {
    throw toStoreError(cause, path);
  }
}

function inUse(directory: string, pidFile: string, cause: unknown): StoreError {
  return new StoreError(
    'in-use',
    `another lazaret process (pid ${readPid(pidFile)}) works on ${directory}: wait for it to end, or use another state directory`,
    { cause },
  );
}

/** The holder may not have written it yet; the message then says so rather than fail. */
function readPid(pidFile: string): string {
  try {
    return /^\d+$/m.exec(readFileSync(pidFile, 'utf8'))?.[0] ?? 'not known';
  } catch {
    return 'not known';
  }
}

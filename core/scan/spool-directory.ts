/**
 * A private directory for contents that is not to outlive its process. While the process lives it holds a
 * lock on a file in there: an exclusive transaction on an empty SQLite file, which the kernel drops when its
 * holder dies, however it dies. A directory whose lock can be had is what a crash left behind, and is removed
 * by the next one that is made beside it.
 */
import { lstatSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const PREFIX = 'lazaret-spool-';
/** A directory has this name until it is locked. */
const UNLOCKED_PREFIX = 'lazaret-unlocked-';
/** The lock's name in its directory. */
export const LOCK = 'lock';
const GROUP_AND_OTHERS = 0o077;

export class SpoolDirectory implements Disposable {
  readonly path: string;
  private readonly lock: DatabaseSync;

  private constructor(path: string, lock: DatabaseSync) {
    this.path = path;
    this.lock = lock;
  }

  /** Makes one below `parent`, and removes those of processes that died. Throws what the system says. */
  static create(parent: string): SpoolDirectory {
    sweep(parent);
    const unlocked = mkdtempSync(join(parent, UNLOCKED_PREFIX));
    try {
      const lock = take(join(unlocked, LOCK));
      const path = join(parent, PREFIX + unlocked.slice(-6));
      renameSync(unlocked, path);
      return new SpoolDirectory(path, lock);
    } catch (error) {
      rmSync(unlocked, { recursive: true, force: true });
      throw error;
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
    if (this.lock.isOpen) this.lock.close();
  }
}

function take(path: string): DatabaseSync {
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is ever written to it.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    if (name.startsWith(PREFIX) && isOwn(path)) removeIfDead(path);
  }
}

/** The parent may be open to everybody: what others put there under our name is theirs. */
function isOwn(path: string): boolean {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  const isPrivate = facts?.isDirectory() === true && (facts.mode & GROUP_AND_OTHERS) === 0;
  return isPrivate && facts.uid === process.getuid?.();
}

/** One without a lock is of an older release, which may be running: it is left alone. */
function removeIfDead(path: string): void {
  const file = join(path, LOCK);
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() !== true) return;
  let lock: DatabaseSync;
  try {
    lock = take(file);
  } catch {
    // Somebody holds it, or is removing it at this moment.
    return;
  }
  rmSync(path, { recursive: true, force: true });
  lock.close();
}

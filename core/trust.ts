/**
 * Who can change what this program relies upon. It has root-like power over guests, and what it is told to do, which
 * keys it trusts and which code it runs stands in files: whoever can write one of them, or put another in its place, has
 * that power too. So such a file, and the directory that holds it, belongs to root or to the user that runs us, and nobody
 * else may write it. A group is somebody else: who is in it is decided in another place.
 */
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface FileFacts {
  readonly uid: number;
  readonly mode: number;
}

const GROUP_OR_OTHERS_WRITE = 0o022;
/** In such a directory nobody can rename or remove what is another's (`/tmp`). */
const STICKY = 0o1000;

/** This process's user; 0 where there are none. */
export const ownUser = (): number => process.geteuid?.() ?? 0;

/** Why others can change it, and what to do about that; undefined when they cannot. */
export function whyForeign(path: string, { uid, mode }: FileFacts, user = ownUser()): string | undefined {
  if (uid !== 0 && uid !== user)
    return `it belongs to user ${uid}, expected root or the user that runs lazaret; run: chown root ${path}`;
  if ((mode & GROUP_OR_OTHERS_WRITE) !== 0)
    return `others than its owner can write it; run: chmod go-w ${path}`;
  return undefined;
}

/**
 * The same of the directories in which a file lies by its name, and in which it lies really where that is a link. Gives
 * the directory as well. Rejects as the file system does.
 */
export async function whyForeignPlace(file: string): Promise<string | undefined> {
  for (const directory of new Set([dirname(file), dirname(await realpath(file))])) {
    const facts = await stat(directory);
    const isShared = (facts.mode & STICKY) !== 0;
    const mode = isShared ? facts.mode & ~GROUP_OR_OTHERS_WRITE : facts.mode;
    const why = whyForeign(directory, { uid: facts.uid, mode });
    if (why !== undefined) return `${directory}, where it lies: ${why}`;
  }
  return undefined;
}

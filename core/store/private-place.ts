/**
 * The state directory holds the host's key, malware, and what decides about guests. It, and what lies in it, are real
 * directories and files (a link would lead to where others may write), belong to the user that runs us, and are written
 * by nobody else.
 */
import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../error.ts';
import { ownUser } from '../trust.ts';

/** What is made there, by whom it may be; each may be missing. */
const DIRECTORIES = ['identity', 'vault', 'packs', 'cache', 'spool', 'uploads'];
const DATABASES = ['lazaret.db', 'lazaret.lock', 'outbox.db'];
const FILES = [
  ...DATABASES.flatMap((name) => [name, `${name}-wal`, `${name}-shm`]),
  ...['audit.head', 'lazaret.pid', 'identity/host.pem'],
];
const GROUP_OR_OTHERS_WRITE = 0o022;

/**
 * Throws StoreError `not-private` unless all of it is `user`'s alone; a file may be root's, who wrote it once. What is
 * missing is no fault.
 */
export function requirePrivate(directory: string, user: number = ownUser()): void {
  const isDirectory = (facts: Stats): boolean => facts.isDirectory();
  requireOwn(directory, { what: 'the state directory', owners: [user], isRight: isDirectory });
  for (const name of DIRECTORIES) {
    const path = join(directory, name);
    requireOwn(path, { what: 'a directory of lazaret', owners: [user], isRight: isDirectory });
  }
  for (const name of FILES) {
    const isRight = (facts: Stats): boolean => facts.isFile();
    requireOwn(join(directory, name), { what: 'a file of lazaret', owners: [user, 0], isRight });
  }
}

interface Expected {
  readonly what: string;
  readonly owners: readonly number[];
  readonly isRight: (facts: Stats) => boolean;
}

function requireOwn(path: string, expected: Expected): void {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  const why = facts && whyNotOwn(path, facts, expected);
  if (why !== undefined) throw new StoreError('not-private', `${path}, ${expected.what}, ${why}`);
}

function whyNotOwn(path: string, facts: Stats, { owners, isRight }: Expected): string | undefined {
  if (facts.isSymbolicLink())
    return 'is a symbolic link: put what it leads to in its place, or name the real place as state';
  if (!isRight(facts)) return 'is something else: move it away';
  if (!owners.includes(facts.uid))
    return `belongs to user ${facts.uid}, and this is user ${owners[0]}: run lazaret as its owner (sudo -u), or change that with chown`;
  if ((facts.mode & GROUP_OR_OTHERS_WRITE) !== 0)
    return `can be written by others: take that away (chmod go-w ${path})`;
  return undefined;
}

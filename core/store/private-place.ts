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

/** Throws StoreError `not-private` unless all of it is `user`'s alone. What is missing is no fault. */
export function requirePrivate(directory: string, user: number = ownUser()): void {
  requireOwn(directory, 'the state directory', user, (facts) => facts.isDirectory());
  for (const name of DIRECTORIES)
    requireOwn(join(directory, name), 'a directory of lazaret', user, (facts) => facts.isDirectory());
  for (const name of FILES)
    requireOwn(join(directory, name), 'a file of lazaret', user, (facts) => facts.isFile());
}

function requireOwn(path: string, what: string, user: number, isRight: (facts: Stats) => boolean): void {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  const why = facts && whyNotOwn(path, facts, user, isRight(facts));
  if (why !== undefined) throw new StoreError('not-private', `${path}, ${what}, ${why}`);
}

function whyNotOwn(path: string, facts: Stats, user: number, isRight: boolean): string | undefined {
  if (facts.isSymbolicLink())
    return 'is a symbolic link: put what it leads to in its place, or name the real place as state';
  if (!isRight) return 'is something else: move it away';
  if (facts.uid !== user)
    return `belongs to user ${facts.uid}, and this is user ${user}: run lazaret as its owner (sudo -u), or change that with chown`;
  if ((facts.mode & GROUP_OR_OTHERS_WRITE) !== 0)
    return `can be written by others: take that away (chmod go-w ${path})`;
  return undefined;
}

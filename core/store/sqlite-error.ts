/** What SQLite's result codes (https://www.sqlite.org/rescode.html) mean to an operator. */
import { StoreError, type StoreErrorCode } from '../error.ts';

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

const MEANINGS: Readonly<Record<number, readonly [StoreErrorCode, string]>> = {
  [SQLITE_BUSY]: ['in-use', 'another process has it locked'],
  [SQLITE_READONLY]: ['not-writable', 'it cannot be written: check its owner, its mode and the file system'],
  [SQLITE_IOERR]: ['write-failed', 'reading or writing it failed: check the disk'],
  [SQLITE_CORRUPT]: ['corrupt', 'it is damaged: restore it from a backup'],
  [SQLITE_FULL]: ['write-failed', 'the disk is full: make room'],
  [SQLITE_CANTOPEN]: ['not-writable', 'it cannot be opened: check its owner, its mode and the file system'],
  [SQLITE_NOTADB]: ['corrupt', 'it is no SQLite database: restore it from a backup'],
};

/** File system errors of the calls around SQLite. */
const SYSTEM_MEANINGS: Readonly<Record<string, readonly [StoreErrorCode, string]>> = {
  ENOSPC: ['write-failed', 'the disk is full: make room'],
  EDQUOT: ['write-failed', 'the disk quota is used up: make room'],
  EIO: ['write-failed', 'reading or writing it failed: check the disk'],
};

const primaryCode = (error: unknown): number | undefined =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined;

export const isBusy = (error: unknown): boolean => primaryCode(error) === SQLITE_BUSY;

/** The StoreError for a failure of SQLite or of the file system; anything else is a mistake in code and stays as it is. */
export function toStoreError(cause: unknown, path: string): unknown {
  if (cause instanceof StoreError || !(cause instanceof Error)) return cause;
  const meaning = meaningOf(cause);
  return meaning ? new StoreError(meaning[0], `${path}: ${meaning[1]} (${cause.message})`, { cause }) : cause;
}

function meaningOf(cause: Error): readonly [StoreErrorCode, string] | undefined {
  const sqlite = primaryCode(cause);
  if (sqlite !== undefined) return MEANINGS[sqlite];
  const system =
    'code' in cause && 'syscall' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  if (system === undefined) return undefined;
  return SYSTEM_MEANINGS[system] ?? ['not-writable', 'it cannot be used: check its owner, mode and place'];
}

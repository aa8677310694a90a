/**
 * The state directory's database: `lazaret.db`, SQLite in WAL mode with synchronous=FULL, so that what a
 * call acknowledged is on the disk before the call returns. One process at a time opens it for changes (see
 * lock.ts); any number may read it meanwhile.
 */
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { StoreError } from '../error.ts';
import { LeftOut, type LeftOutRow } from './left-out.ts';
import { StateLock } from './lock.ts';
import { MIGRATIONS } from './migrations.ts';
import { requirePrivate } from './private-place.ts';
import { toStoreError } from './sqlite-error.ts';

export type Parameters = Readonly<Record<string, SQLInputValue>>;
export type Row = Readonly<Record<string, unknown>>;

/** Readers wait this long for a checkpoint to end. */
const BUSY_MILLISECONDS = 5_000;

export class StateDatabase {
  readonly directory: string;
  private readonly sqlite: DatabaseSync;
  private readonly lock: StateLock | undefined;
  private readonly statements = new Map<string, StatementSync>();
  private readonly leftOut = new LeftOut();
  private inTransaction = false;

  private constructor(directory: string, sqlite: DatabaseSync, lock?: StateLock) {
    this.directory = directory;
    this.sqlite = sqlite;
    this.lock = lock;
  }

  /**
   * Opens it for changes, creating what is not there. Throws StoreError: `in-use`, `not-writable`,
   * `not-private`, `newer-version`, `corrupt`, `write-failed`.
   */
  static open(directory: string): StateDatabase {
    createDirectory(directory);
    const lock = StateLock.take(directory);
    const path = databasePath(directory);
    try {
      return translating(path, () => {
        closeSync(openSync(path, 'a', 0o600));
        return new StateDatabase(directory, openForChanges(path), lock);
      });
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Opens it to look only, whoever else works on it. Throws StoreError: `not-found`, `newer-version`, `corrupt`, `not-writable`. */
  static read(directory: string): StateDatabase {
    const path = databasePath(directory);
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      throw new StoreError(
        'not-found',
        `there is no database at ${path}: nothing was scanned with this state directory yet`,
      );
    }
    return translating(path, () => {
      const sqlite = new DatabaseSync(path, { readOnly: true, timeout: BUSY_MILLISECONDS });
      if (versionOf(sqlite, path) === MIGRATIONS.length) return new StateDatabase(directory, sqlite);
      // Of an older release: migrated once, then read.
      sqlite.close();
      StateDatabase.open(directory).close();
      return StateDatabase.read(directory);
    });
  }

  /** Runs a statement; gives how many rows it changed. */
  run(sql: string, parameters: Parameters = {}): number {
    return this.translating(() => Number(this.statement(sql).run(parameters).changes));
  }

  /** An integer that is no safe one comes as a bigint, which no schema takes: it costs its row, not the statement. */
  get(sql: string, parameters: Parameters = {}): Row | undefined {
    return this.translating(() => {
      const row = this.exact(sql).get(parameters);
      return row && withNumbers(row);
    });
  }

  /** As `get`. For what only reads. */
  all(sql: string, parameters: Parameters = {}): Row[] {
    return this.translating(() => {
      try {
        return this.statement(sql).all(parameters);
      } catch (error) {
        if (!isOutOfRange(error)) throw error;
        return this.exact(sql).all(parameters).map(withNumbers);
      }
    });
  }

  /** As `get`. */
  *iterate(sql: string, parameters: Parameters = {}): Generator<Row> {
    const rows = this.translating(() => exactly(this.sqlite.prepare(sql)).iterate(parameters));
    for (;;) {
      const next = this.translating(() => rows.next());
      if (next.done) return;
      yield withNumbers(next.value);
    }
  }

  /** Called once for each row that is left out as it cannot be read, of those before as well. */
  set onLeftOut(hear: (row: LeftOutRow) => void) {
    this.leftOut.tell(hear);
  }

  /** A row of many that cannot be read. */
  leaveOut(row: LeftOutRow): void {
    this.leftOut.add(row);
  }

  /** The version of the schema that the file has now: another release may have changed it meanwhile. */
  get version(): number {
    return Number(this.get('PRAGMA user_version')?.user_version);
  }

  /** All changes of `work` or, when it throws, none. A transaction within one is part of it. */
  transaction<T>(work: () => T): T {
    if (this.inTransaction) return work();
    this.translating(() => this.sqlite.exec('BEGIN IMMEDIATE'));
    this.inTransaction = true;
    try {
      const result = work();
      this.translating(() => this.sqlite.exec('COMMIT'));
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors (a full disk).
      if (this.sqlite.isTransaction) this.sqlite.exec('ROLLBACK');
      throw error;
    } finally {
      this.inTransaction = false;
    }
  }

  close(): void {
    this.sqlite.close();
    this.lock?.release();
  }

  private statement(sql: string): StatementSync {
    const known = this.statements.get(sql);
    if (known) return known;
    const made = this.sqlite.prepare(sql);
    this.statements.set(sql, made);
    return made;
  }

  /** Reads twice as slow as `statement`, and whatever an INTEGER column holds. */
  private exact(sql: string): StatementSync {
    const key = `exact ${sql}`;
    const known = this.statements.get(key);
    if (known) return known;
    const made = exactly(this.sqlite.prepare(sql));
    this.statements.set(key, made);
    return made;
  }

  private translating<T>(work: () => T): T {
    return translating(databasePath(this.directory), work);
  }
}

function exactly(statement: StatementSync): StatementSync {
  statement.setReadBigInts(true);
  return statement;
}

const isOutOfRange = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_OUT_OF_RANGE';

function withNumbers(row: Record<string, SQLOutputValue>): Row {
  for (const [column, value] of Object.entries(row)) {
    if (typeof value !== 'bigint') continue;
    const number = Number(value);
    if (Number.isSafeInteger(number)) row[column] = number;
  }
  return row;
}

const databasePath = (directory: string): string => join(directory, 'lazaret.db');

function translating<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toStoreError(error, path);
  }
}

function createDirectory(directory: string): void {
  translating(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    requirePrivate(directory);
  });
}

function openForChanges(path: string): DatabaseSync {
  const sqlite = new DatabaseSync(path, { timeout: BUSY_MILLISECONDS });
  try {
    versionOf(sqlite, path);
    sqlite.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    migrate(sqlite, path);
    return sqlite;
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

function migrate(sqlite: DatabaseSync, path: string): void {
  for (const [index, step] of MIGRATIONS.entries()) {
    if (index < versionOf(sqlite, path)) continue;
    sqlite.exec(`BEGIN IMMEDIATE; ${step}; PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
}

function versionOf(sqlite: DatabaseSync, path: string): number {
  const version = Number(sqlite.prepare('PRAGMA user_version').get()?.user_version);
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      'newer-version',
      `${path} was written by a newer release (its version is ${version}, this release knows ${MIGRATIONS.length}): use that release`,
    );
  }
  return version;
}

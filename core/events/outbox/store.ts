/**
 * The spool of outgoing events: `outbox.db` in the state directory, SQLite in WAL mode. What was appended is on the
 * disk before the call returns (synchronous=FULL, one sync for all events of the call). Positions of sinks are written
 * without a sync: after a power cut a sink may be a few batches behind, and delivers these again.
 *
 * It is opened by the one process that holds the state directory's lock.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { z } from 'zod';
import { StoreError } from '../../error.ts';
import { toStoreError } from '../../store/sqlite-error.ts';
import { saturatingSum } from '../../store/sum.ts';
import type { BatchLimit, StoredEvent } from './outlet.ts';

export type NewEvent = Omit<StoredEvent, 'sequence'>;

const VERSION = 1;
const SCHEMA = `
  -- Numbers are never used twice: positions refer to them.
  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL,
    classUid INTEGER NOT NULL,
    severityId INTEGER NOT NULL,
    time INTEGER NOT NULL,
    acceptedAt INTEGER NOT NULL,
    size INTEGER NOT NULL,
    json TEXT NOT NULL
  ) STRICT;
  -- Up to and with which event a sink has all.
  CREATE TABLE positions (sink TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
  PRAGMA user_version = ${VERSION};
`;

/** What an event takes beside its JSON, about. */
const ROW_BYTES = 128;

const count = z.int().min(0);
const Stored = z.object({
  sequence: count,
  uid: z.string(),
  classUid: count,
  severityId: count,
  time: count,
  acceptedAt: count,
  json: z.string(),
});
const New = Stored.omit({ sequence: true });
const Totals = z.object({ events: z.int(), bytes: z.int() });
const Head = z.object({ head: z.int() });
const Position = z.object({ sink: z.string(), sequence: z.int() });

/** Bytes that an event with this JSON takes in the spool. */
export const sizeOf = (json: string): number => Buffer.byteLength(json) + ROW_BYTES;

/** All methods throw StoreError. */
export class OutboxStore {
  readonly path: string;
  /** Events and places of sinks that could not be read when it was opened. */
  readonly dropped: number;
  private readonly sqlite: DatabaseSync;
  private readonly insert: StatementSync;
  private readonly positions: Map<string, number>;
  private totals: { events: number; bytes: number };
  private last: number;

  private constructor(path: string, sqlite: DatabaseSync, dropped: number) {
    this.path = path;
    this.dropped = dropped;
    this.sqlite = sqlite;
    this.insert = sqlite.prepare(
      `INSERT INTO events (uid, classUid, severityId, time, acceptedAt, size, json)
       VALUES (:uid, :classUid, :severityId, :time, :acceptedAt, :size, :json)`,
    );
    this.totals = this.count(Number.MAX_SAFE_INTEGER);
    this.last = Head.parse(
      sqlite
        .prepare("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS head")
        .get(),
    ).head;
    const rows = z.array(Position).parse(sqlite.prepare('SELECT sink, sequence FROM positions').all());
    this.positions = new Map(rows.map(({ sink, sequence }) => [sink, sequence]));
  }

  /** Opens it, creating what is not there, and drops what cannot be read. StoreError `corrupt` when the file is damaged. */
  static open(directory: string): OutboxStore {
    const path = join(directory, 'outbox.db');
    return translating(path, () => {
      closeSync(openSync(path, 'a', 0o600));
      const sqlite = new DatabaseSync(path);
      try {
        prepare(sqlite, path);
        return new OutboxStore(path, sqlite, dropUnreadable(sqlite));
      } catch (error) {
        sqlite.close();
        throw error instanceof z.ZodError ? damaged(path, error) : error;
      }
    });
  }

  /** Events that some sink has not got yet. */
  get events(): number {
    return this.totals.events;
  }

  /** Bytes of these events; the file itself does not shrink. */
  get bytes(): number {
    return this.totals.bytes;
  }

  /** The number of the newest event, 0 before the first. */
  get head(): number {
    return this.last;
  }

  /** Keeps all of them, each of which passed `requireReadable`, or, when it throws, none. On the disk when it returns. */
  append(events: readonly NewEvent[]): void {
    let [last, bytes] = [this.last, 0];
    this.transaction('FULL', () => {
      for (const event of events) {
        const size = sizeOf(event.json);
        last = Number(this.insert.run({ ...event, size }).lastInsertRowid);
        bytes += size;
      }
    });
    this.last = last;
    this.totals = { events: this.events + events.length, bytes: this.bytes + bytes };
  }

  /**
   * The events after number `after`, in their order, as many as the limit allows and at least one. Integers past 2^53
   * were dropped when the file was opened, and none is written since.
   */
  read(after: number, most: BatchLimit): StoredEvent[] {
    return translating(this.path, () => {
      const batch: StoredEvent[] = [];
      let bytes = 0;
      const rows = this.sqlite
        .prepare('SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?')
        .iterate(after, most.events);
      for (const row of rows) {
        const event = Stored.parse(row);
        bytes += Buffer.byteLength(event.json) + 1;
        if (batch.length > 0 && bytes > most.bytes) break;
        batch.push(event);
      }
      return batch;
    });
  }

  /** When the oldest event after number `after` was accepted; undefined when there is none. */
  oldestAfter(after: number): number | undefined {
    return translating(this.path, () => {
      const row = this.sqlite
        .prepare('SELECT acceptedAt FROM events WHERE sequence > ? ORDER BY sequence LIMIT 1')
        .get(after);
      return row && z.int().parse(row.acceptedAt);
    });
  }

  /** Where a sink is; undefined for one that was never kept. */
  position(sink: string): number | undefined {
    return this.positions.get(sink);
  }

  /** Keeps where sinks are, and forgets events that all of them have. Sinks left out are forgotten with their place. */
  keep(positions: ReadonlyMap<string, number>): void {
    const done = Math.min(this.last, ...positions.values());
    const gone = this.count(done);
    this.transaction('NORMAL', () => {
      this.sqlite.exec('DELETE FROM positions');
      const insert = this.sqlite.prepare('INSERT INTO positions (sink, sequence) VALUES (?, ?)');
      for (const [sink, sequence] of positions) insert.run(sink, sequence);
      this.sqlite.prepare('DELETE FROM events WHERE sequence <= ?').run(done);
    });
    this.totals = { events: this.events - gone.events, bytes: this.bytes - gone.bytes };
    this.positions.clear();
    for (const [sink, sequence] of positions) this.positions.set(sink, sequence);
  }

  close(): void {
    this.sqlite.close();
  }

  /** Events up to and with number `upTo`. */
  private count(upTo: number): { events: number; bytes: number } {
    const sql = `SELECT count(*) AS events, ${saturatingSum('size')} AS bytes FROM events WHERE sequence <= ?`;
    return translating(this.path, () => Totals.parse(this.sqlite.prepare(sql).get(upTo)));
  }

  private transaction(synchronous: 'FULL' | 'NORMAL', work: () => void): void {
    translating(this.path, () => {
      this.sqlite.exec(`PRAGMA synchronous = ${synchronous}; BEGIN IMMEDIATE`);
      try {
        work();
        this.sqlite.exec('COMMIT');
      } catch (error) {
        // SQLite has rolled back by itself after some errors (a full disk).
        if (this.sqlite.isTransaction) this.sqlite.exec('ROLLBACK');
        throw error;
      }
    });
  }
}

/** Every event must pass before it is appended: what is written can be read again. Throws StoreError `unfit`. */
export function requireReadable(event: NewEvent): void {
  const { success, error } = New.safeParse(event);
  if (success) return;
  throw new StoreError('unfit', `an event could not be read again, and is not kept: ${error.message}`, {
    cause: error,
  });
}

function prepare(sqlite: DatabaseSync, path: string): void {
  sqlite.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  const version = Number(sqlite.prepare('PRAGMA user_version').get()?.user_version);
  if (version > VERSION) {
    throw new StoreError('newer-version', `${path} was written by a newer release: use that release`);
  }
  if (version === 0) sqlite.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
  const check = Object.values(sqlite.prepare('PRAGMA quick_check(1)').get() ?? {});
  if (check[0] !== 'ok') throw damaged(path, new Error(String(check[0])));
}

/** A row that no reader takes would keep all behind it from being sent. Gives how many there were. */
function dropUnreadable(sqlite: DatabaseSync): number {
  const isCount = (column: string): string => `${column} BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`;
  const counts = ['sequence', 'classUid', 'severityId', 'time', 'acceptedAt', 'size'].map(isCount);
  const events = `DELETE FROM events WHERE NOT (${counts.join(' AND ')} AND json_valid(json))`;
  const positions = `DELETE FROM positions WHERE NOT (${isCount('sequence')})`;
  return [events, positions].reduce((sum, sql) => sum + Number(sqlite.prepare(sql).run().changes), 0);
}

const damaged = (path: string, cause: Error): StoreError =>
  new StoreError('corrupt', `${path}: it is damaged (${cause.message})`, { cause });

function translating<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toStoreError(error, path);
  }
}

/** Tables that grow without end are read page by page, newest first. */
import { StoreError } from '../error.ts';
import type { Parameters, Row, StateDatabase } from './database.ts';
import type { RecordTable } from './rows.ts';

export interface PageQuery {
  /** Rows at most. */
  readonly limit: number;
  /** The `next` of the page before; the first page without it. */
  readonly before?: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Absent at the end. */
  readonly next?: string;
}

/** Names of the schema, never of a caller's making. */
export interface PagedTable<Item> {
  readonly table: RecordTable<Item>;
  readonly time: 'startedAt' | 'lastSeen' | 'intentAt' | 'at';
}

/** Where rows begin: after the one that has these values. */
interface Place {
  readonly fromTime: Parameters[string];
  readonly fromId: Parameters[string];
}

/**
 * Rows in which each column of `equal` has its value; one that is undefined does not count. A page is full whatever
 * rows between could not be read.
 */
export function readPage<Item extends { readonly id: string }>(
  database: StateDatabase,
  { table, time }: PagedTable<Item>,
  equal: Readonly<Record<string, string | undefined>>,
  { limit, before }: PageQuery,
): Page<Item> {
  const items: Item[] = [];
  const read = selectFrom(database, { table: table.name, time, equal, limit: limit + 1 });
  let place = before === undefined ? undefined : parseCursor(before);
  for (;;) {
    const rows = read(place);
    items.push(...table.readable(database, rows));
    if (items.length > limit || rows.length <= limit) break;
    place = placeOf(rows.at(-1) ?? {}, time);
  }
  const last = items.length > limit ? items[limit - 1] : undefined;
  const shown = items.slice(0, limit);
  return last ? { items: shown, next: cursorOf(last, time) } : { items: shown };
}

interface Selection {
  readonly table: string;
  readonly time: string;
  readonly equal: Readonly<Record<string, string | undefined>>;
  readonly limit: number;
}

/** Reads `limit` rows from a place on. */
function selectFrom(
  database: StateDatabase,
  { table, time, equal, limit }: Selection,
): (place: Place | undefined) => Row[] {
  const filters = Object.entries(equal).flatMap(([column, value]) =>
    value === undefined ? [] : [{ column, value }],
  );
  const values = Object.fromEntries(filters.map(({ column, value }) => [column, value]));
  return (place) => {
    const conditions = [
      ...filters.map(({ column }) => `${column} = :${column}`),
      ...(place ? [`(${time}, id) < (:fromTime, :fromId)`] : []),
    ];
    const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
    return database.all(`SELECT * FROM ${table} ${where} ORDER BY ${time} DESC, id DESC LIMIT :limit`, {
      ...values,
      ...place,
      limit,
    });
  };
}

const placeOf = (row: Row, time: string): Place => ({
  fromTime: row[time] as Parameters[string],
  fromId: row.id as Parameters[string],
});

const cursorOf = (item: object & { readonly id: string }, time: string): string =>
  `${(item as Row)[time]}.${item.id}`;

function parseCursor(text: string): Place {
  const [, time, id] = /^(\d{1,16})\.(.{1,128})$/s.exec(text) ?? [];
  if (time === undefined || id === undefined || !Number.isSafeInteger(Number(time))) {
    throw new StoreError('not-found', 'there is no such page: begin with the first one, without "before"');
  }
  return { fromTime: Number(time), fromId: id };
}

/** Tables that grow without end are read page by page, newest first. */
import { StoreError } from '../error.ts';
import type { Parameters, Row, StateDatabase } from './database.ts';

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
  readonly table: 'scans' | 'findings' | 'actions' | 'vmActions' | 'vault';
  readonly time: 'startedAt' | 'lastSeen' | 'intentAt' | 'at';
  read(row: Row): Item;
}

/** Rows in which each column of `equal` has its value; one that is undefined does not count. */
export function readPage<Item extends { readonly id: string }>(
  database: StateDatabase,
  { table, time, read }: PagedTable<Item>,
  equal: Readonly<Record<string, string | undefined>>,
  { limit, before }: PageQuery,
): Page<Item> {
  const filters = Object.entries(equal).flatMap(([column, value]) =>
    value === undefined ? [] : [{ column, value }],
  );
  const from = before === undefined ? undefined : parseCursor(before);
  const conditions = [
    ...filters.map(({ column }) => `${column} = :${column}`),
    ...(from ? [`(${time}, id) < (:fromTime, :fromId)`] : []),
  ];
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const parameters: Parameters = {
    ...Object.fromEntries(filters.map(({ column, value }) => [column, value])),
    ...from,
    limit: limit + 1,
  };
  const rows = database.all(
    `SELECT * FROM ${table} ${where} ORDER BY ${time} DESC, id DESC LIMIT :limit`,
    parameters,
  );
  const items = rows.slice(0, limit).map(read);
  const last = rows[limit - 1];
  return rows.length > limit && last ? { items, next: `${last[time]}.${last.id}` } : { items };
}

function parseCursor(text: string): { fromTime: number; fromId: string } {
  const [, time, id] = /^(\d{1,15})\.(.{1,128})$/s.exec(text) ?? [];
  if (time === undefined || id === undefined) {
    throw new StoreError('not-found', 'there is no such page: begin with the first one, without "before"');
  }
  return { fromTime: Number(time), fromId: id };
}

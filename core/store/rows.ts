/**
 * From rows to records and back. A database can be damaged or edited like any file, and a newer release may have
 * written into it: so a row becomes a record only through a schema, and what is written has passed the same one.
 *
 * A row that does not pass costs that row. Who asks for it by its id is told (StoreError `corrupt`); where it is one of
 * many it is left out, stays where it is, and is told of once (`StateDatabase.leaveOut`); `lazaret doctor` finds all.
 */
import { z } from 'zod';
import { MOST_COUNTED } from '../../protocol/index.ts';
import { StoreError } from '../error.ts';
import type { Parameters, Row, StateDatabase } from './database.ts';

/** A TEXT column that holds JSON. */
export const jsonColumn = <S extends z.ZodType>(schema: S) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue('is not JSON');
        return z.NEVER;
      }
    })
    .pipe(schema);

/** An INTEGER column that holds milliseconds since 1970. */
export const timeColumn = z.int().min(0);

/** A counter within JSON. It saturates: an earlier release wrote sums as they came out. */
export const countInJson = z
  .number()
  .min(0)
  .transform((count) => Math.min(count, MOST_COUNTED))
  .pipe(z.int());

/** A table whose rows are records: each goes out and in through its schema. */
export class RecordTable<Kept> {
  readonly name: string;
  private readonly schema: z.ZodType<Kept>;
  private readonly key: readonly string[];

  /** `key`: the columns by which people know a row. */
  constructor(name: string, schema: z.ZodType<Kept>, key: readonly string[] = ['id']) {
    this.name = name;
    this.schema = schema;
    this.key = key;
  }

  /** StoreError `corrupt` when it is none. */
  read(row: Row): Kept {
    const result = this.parse(row);
    if (result.success) return result.data;
    throw new StoreError(
      'corrupt',
      `a row of the table ${this.name} (${this.keyOf(row)}) cannot be read: ${whatIsWrong(result.error)}. Restore the database from a backup, or remove that row`,
      { cause: result.error },
    );
  }

  /** The records of those rows that are some; the others are left out, and told of. */
  readable(database: StateDatabase, rows: Iterable<Row>): Kept[] {
    return Array.from(rows).flatMap((row) => {
      const result = this.parse(row);
      if (result.success) return [result.data];
      database.leaveOut({ table: this.name, key: this.keyOf(row), reason: whatIsWrong(result.error) });
      return [];
    });
  }

  /** The columns, when a row that has them can be read again. Throws StoreError `unfit`. */
  checked<Columns extends Parameters>(columns: Columns): Columns {
    const result = this.parse(columns);
    if (result.success) return columns;
    throw new StoreError(
      'unfit',
      `what was to be kept in the table ${this.name} (${this.keyOf(columns)}) could not be read again, and is not kept: ${whatIsWrong(result.error)}`,
      { cause: result.error },
    );
  }

  /** Why a row is none of this table's records; undefined when it is one. */
  faultOf(row: Row): { readonly key: string; readonly reason: string } | undefined {
    const result = this.parse(row);
    return result.success ? undefined : { key: this.keyOf(row), reason: whatIsWrong(result.error) };
  }

  private parse(row: Row): z.ZodSafeParseResult<Kept> {
    return this.schema.safeParse(membersOf(row));
  }

  private keyOf(row: Row): string {
    return this.key.map((column) => textOf(row[column])).join(' ');
  }
}

const textOf = (value: unknown): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value);

/** What a statement gives that is no whole record. StoreError `corrupt` when it does not fit. */
export function readRow<S extends z.ZodType>(table: string, schema: S, row: Row): z.output<S> {
  const result = schema.safeParse(membersOf(row));
  if (result.success) return result.data;
  throw new StoreError(
    'corrupt',
    `a row of the table ${table} (${String(row.id)}) cannot be read: ${whatIsWrong(result.error)}. Restore the database from a backup`,
    { cause: result.error },
  );
}

/** A column that is NULL is a member that is absent. */
const membersOf = (row: Row): object =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));

function whatIsWrong({ issues: [issue] }: z.ZodError): string {
  const place = issue?.path.join('.') ?? '';
  return `${place === '' ? 'the row' : `"${place}"`}: ${issue?.message ?? 'it does not fit'}`;
}

/** An optional member as a column: JSON, or NULL when absent. */
export const toJsonOrNull = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value);

/**
 * From rows to records. A database can be damaged or edited like any file, so a row becomes a record only
 * through a schema; one that does not fit is StoreError `corrupt`.
 */
import { z } from 'zod';
import { StoreError } from '../error.ts';
import type { Row } from './database.ts';

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

/** The record in a row; a column that is NULL is a member that is absent. */
export function readRow<S extends z.ZodType>(table: string, schema: S, row: Row): z.output<S> {
  const members = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
  const result = schema.safeParse(members);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new StoreError(
    'corrupt',
    `a row of the table ${table} (${String(row.id)}) is damaged at "${issue?.path.join('.') ?? ''}": ${issue?.message ?? ''}. Restore the database from a backup`,
    { cause: result.error },
  );
}

/** An optional member as a column: JSON, or NULL when absent. */
export const toJsonOrNull = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value);

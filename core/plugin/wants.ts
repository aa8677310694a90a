/**
 * What a third-party detector wants to look at, declared as data (`lazaret.wants` in its package.json): it is
 * asked of every file of a guest before anything is fetched, which no child process could answer in time.
 * Conditions within one declaration all have to hold.
 */
import { z } from 'zod';
import type { Prospect } from '../api/index.ts';

const text = z.string().min(1).max(256);
const size = z.int().nonnegative();
const EXECUTABLE = 0o111;

export const wantsSchema = z.strictObject({
  kinds: z
    .array(z.enum(['file', 'process']))
    .min(1)
    .default(['file']),
  /** In bytes, inclusive. */
  minSize: size.optional(),
  maxSize: size.optional(),
  /** One of them ends, or begins, the path as it is escaped for display. */
  suffixes: z.array(text).max(256).optional(),
  prefixes: z.array(text).max(256).optional(),
  /** Anybody may execute it. */
  executable: z.boolean().optional(),
});

export type Wants = z.output<typeof wantsSchema>;

/** Whether the declaration covers the prospect. */
export function covers(wants: Wants, prospect: Prospect): boolean {
  if (!wants.kinds.includes(prospect.kind)) return false;
  if (prospect.kind === 'process') return true;
  const { path, size, mode } = prospect.facts;
  if (size < (wants.minSize ?? 0) || size > (wants.maxSize ?? Number.MAX_SAFE_INTEGER)) return false;
  if (wants.executable !== undefined && ((mode & EXECUTABLE) !== 0) !== wants.executable) return false;
  if (wants.suffixes && !wants.suffixes.some((suffix) => path.endsWith(suffix))) return false;
  return wants.prefixes === undefined || wants.prefixes.some((prefix) => path.startsWith(prefix));
}

/**
 * What the host and the child process of a third-party plugin say to each other: JSON, one message a line, on
 * the child's stdin and stdout.
 *
 *   host → child   setup (once: entry, options) · check (once, instead: options) · detect · abort
 *   child → host   checked · ready or failed · answer (one for each subject) · done
 *
 * The child is hostile: whatever it says passes these schemas, a line is at most `MAX_LINE` characters, and a message
 * that does not fit ends it.
 */
import { z } from 'zod';
import { type SignatureFile, type Subject, UNSCANNED_REASONS } from '../api/index.ts';

export const MAX_LINE = 1024 * 1024;
const MAX_NAME = 200;
/** A path of 4,096 bytes, all of them escaped as `\\xNN`. */
const MAX_PATH = 4 * 4096;

export type ToChild =
  | { readonly type: 'check'; readonly entry: string; readonly options: unknown }
  | {
      readonly type: 'setup';
      readonly entry: string;
      readonly options: unknown;
      readonly signatures: readonly SignatureFile[];
    }
  | { readonly type: 'detect'; readonly call: number; readonly subjects: readonly Subject[] }
  | { readonly type: 'abort'; readonly call: number };

const short = z.string().min(1).max(MAX_NAME);
const line = z.string().max(1_000);

const technique = z.string().regex(/^T\d{4}(\.\d{3})?$/);

const detection = z.object({
  judgement: z.enum(['malicious', 'suspicious']),
  name: short,
  source: line.optional(),
  description: line.optional(),
  attack: z.array(technique).max(32).optional(),
});

const start = z.object({
  path: z.string().min(1).max(MAX_PATH),
  technique,
  line: z.int().positive().optional(),
  shared: z.boolean().optional(),
});

const answer = z.union([
  // How many of them are kept is counted in call.ts: what was found stays found.
  z.object({ subject: short, detections: z.array(detection), starts: z.array(start).optional() }),
  z.object({ subject: short, unscanned: z.enum(UNSCANNED_REASONS), detail: line.optional() }),
]);

const engine = z.object({
  name: short,
  version: short,
  signatures: short,
  signatureCount: z.int().nonnegative(),
});

const issue = z.object({
  message: line,
  path: z
    .array(z.union([z.string(), z.number()]))
    .max(32)
    .optional(),
});

export const fromChild = z.discriminatedUnion('type', [
  z.object({ type: z.literal('checked'), issues: z.array(issue).max(100) }),
  z.object({
    type: z.literal('ready'),
    engine,
    problems: z.array(z.object({ file: line, line: z.int().optional(), message: line })).max(1_000),
    digests: z.array(z.enum(['sha256', 'sha1', 'md5'])).optional(),
    reads: z.enum(['content', 'digests']).optional(),
    concurrency: z.int().min(1).max(64),
  }),
  z.object({ type: z.literal('failed'), message: line }),
  z.object({ type: z.literal('answer'), call: z.int(), answer }),
  z.object({ type: z.literal('done'), call: z.int(), error: line.optional() }),
]);

export type FromChild = z.output<typeof fromChild>;
export type Ready = Extract<FromChild, { type: 'ready' }>;

/** The message that a line is, or what is wrong with it, for whoever wrote the plugin. */
export function understand(line: string): { readonly message: FromChild } | { readonly complaint: string } {
  if (line.length > MAX_LINE) return { complaint: `more than ${MAX_LINE} characters in one line` };
  try {
    const result = fromChild.safeParse(JSON.parse(line));
    return result.success ? { message: result.data } : { complaint: complaintOf(result.error.issues) };
  } catch {
    return { complaint: 'no JSON' };
  }
}

/** The first thing that is wrong, with the keys that lead there, which are those of the schemas above. */
function complaintOf([issue]: readonly z.core.$ZodIssue[], above: readonly PropertyKey[] = []): string {
  if (issue === undefined) return 'no message';
  const path = [...above, ...issue.path];
  const [branch = []] = issue.code === 'invalid_union' ? issue.errors : [];
  return branch.length > 0 ? complaintOf(branch, path) : `${path.map(String).join('.')}: ${issue.message}`;
}

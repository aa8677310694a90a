/** What the schema found wrong, as lines that a person can act upon. */
import type { z } from 'zod';
import { displayText } from '../../protocol/index.ts';
import { type Fault, type KeyPath, positionOf, type Source } from './source.ts';
import { SECRET } from './values.ts';

type Issue = z.core.$ZodIssue;

const SHOWN_CHARACTERS = 60;

/** `file:line:column: key: message` */
export function formatFault({ at, key, message }: Fault): string {
  const place = `${displayText(at.file)}:${at.line}:${at.column}`;
  return key.length === 0 ? `${place}: ${message}` : `${place}: ${formatKey(key)}: ${message}`;
}

/** `policy.excludes[2]` */
function formatKey(path: KeyPath): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return displayText(text.replace(/^\./, ''));
}

/** Every fault that the schema's issues stand for, ordered by place. */
export function faultsOf(issues: readonly Issue[], source: Source, schema: z.ZodType): Fault[] {
  const faults = issues
    .flatMap((issue) => messagesOf(issue, schema))
    .map(({ key, message }) => ({ at: positionOf(source, key), key, message }));
  return faults.sort(
    (a, b) => compare(a.at.file, b.at.file) || a.at.line - b.at.line || a.at.column - b.at.column,
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

function messagesOf(issue: Issue, schema: z.ZodType): Pick<Fault, 'key' | 'message'>[] {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map((name) => ({ key: [...issue.path, name], message: unknownKey(name, known) }));
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ key: issue.path, message: `expected ${message}` }];
  }
  if (issue.message === SECRET) return [{ key: issue.path, message: `expected ${issue.message}` }];
  const got = issue.input === undefined ? 'it is missing' : `got ${shown(issue.input)}`;
  return [{ key: issue.path, message: `expected ${issue.message} (${got})` }];
}

function unknownKey(name: string, known: readonly string[]): string {
  const near = known.find((key) => isNear(name.toLowerCase(), key.toLowerCase()));
  const hint = near ? `did you mean ${near}?` : `expected one of ${known.join(', ')}`;
  return `there is no such key: ${hint}`;
}

/** One letter added, left out, changed or swapped with its neighbour; or only the spelling of its words. */
function isNear(a: string, b: string): boolean {
  const plain = (text: string) => text.replaceAll(/[-_]/g, '');
  if (plain(a) === plain(b)) return true;
  if (Math.abs(a.length - b.length) > 1) return false;
  let from = 0;
  while (from < a.length && a[from] === b[from]) from++;
  const rest = (text: string, skip: number) => text.slice(from + skip);
  return (
    rest(a, 1) === rest(b, 0) ||
    rest(a, 0) === rest(b, 1) ||
    rest(a, 1) === rest(b, 1) ||
    (a[from] === b[from + 1] && a[from + 1] === b[from] && rest(a, 2) === rest(b, 2))
  );
}

/** The keys of the mapping at `path` in the schema. */
function knownKeys(schema: z.ZodType, path: KeyPath): string[] {
  let at: unknown = schema;
  for (const key of path) at = typeof key === 'number' ? elementOf(at) : shapeOf(at)?.[String(key)];
  return Object.keys(shapeOf(at) ?? {});
}

type Definition = {
  innerType?: unknown;
  in?: unknown;
  shape?: Record<string, unknown>;
  element?: unknown;
};

function definitionOf(schema: unknown): Definition | undefined {
  let definition = (schema as { def?: Definition } | undefined)?.def;
  while (definition?.innerType) definition = (definition.innerType as { def?: Definition }).def;
  return definition;
}

const shapeOf = (schema: unknown) => definitionOf(schema)?.shape;
const elementOf = (schema: unknown) => definitionOf(schema)?.element;

function shown(value: unknown): string {
  const text = displayText(JSON.stringify(value) ?? String(value));
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

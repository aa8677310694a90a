/**
 * What may stand in a log: no secret, no text that acts on whoever reads it, and only so much of anything. Facts come
 * from all over the engine, from plugins, and through both from guests.
 */
import { displayText } from '../../protocol/index.ts';
import { REDACTED, Secret } from '../secret.ts';

const MOST_DEPTH = 6;
const MOST_ENTRIES = 64;
const MOST_CHARACTERS = 4_096;

/** In names of any spelling: `apiKey`, `API-KEY`, `x_api_key`. A `key` alone is one as well; the `agentKey` of a VM is public. */
const SECRET_NAME =
  /^(key|pem)$|token|authorization|passw(or)?d|passphrase|secret|credential|cookie|privatekey|apikey|signingkey/;

/** Where a secret stands within text: PEM keys, `Authorization` headers, user and password in a URL. */
const SECRET_TEXT: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)/gs, REDACTED],
  [/\b(Bearer|Basic) +[\w+/.~=-]+/gi, `$1 ${REDACTED}`],
  [/(\w:\/\/)[^\s/@]*@/g, `$1${REDACTED}@`],
];

/** What could act on a terminal, or end a line, is escaped; text that was made harmless before stays as it is. */
export function harmlessText(text: string): string {
  const cut = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
  const told = SECRET_TEXT.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), cut);
  return told.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character) => displayText(character));
}

/** The facts as plain JSON. Does not throw, whatever they are. */
export function harmlessFacts(facts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  try {
    return entriesOf(Object.entries(facts), [facts]);
  } catch (error) {
    // A getter or a proxy that throws must not cost the message.
    return { unreadable: harmlessText(String(error)) };
  }
}

function harmless(value: unknown, within: readonly unknown[]): unknown {
  switch (typeof value) {
    case 'string':
      return harmlessText(value);
    case 'bigint':
      return String(value);
    case 'function':
    case 'symbol':
      return `[${typeof value}]`;
    case 'object':
      return value === null ? null : harmlessObject(value, within);
    default:
      return value;
  }
}

function harmlessObject(value: object, within: readonly unknown[]): unknown {
  if (value instanceof Secret) return REDACTED;
  if (within.includes(value)) return '[circular]';
  if (within.length >= MOST_DEPTH) return '[…]';
  const inside = [...within, value];
  if (value instanceof Error) return errorOf(value, inside);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '[no date]' : value.toISOString();
  if (value instanceof URL) return harmlessText(value.href);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map)
    return entriesOf(
      [...value].map(([name, each]) => [String(name), each]),
      inside,
    );
  if (value instanceof Set || Array.isArray(value)) return listOf([...value], inside);
  return entriesOf(Object.entries(value), inside);
}

function listOf(values: readonly unknown[], within: readonly unknown[]): unknown[] {
  const shown = values.slice(0, MOST_ENTRIES).map((each) => harmless(each, within));
  return values.length > MOST_ENTRIES ? [...shown, `… ${values.length - MOST_ENTRIES} more`] : shown;
}

function entriesOf(
  entries: readonly (readonly [string, unknown])[],
  within: readonly unknown[],
): Record<string, unknown> {
  const shown = entries
    .slice(0, MOST_ENTRIES)
    .map(([name, value]) => [harmlessText(name), named(name, value, within)]);
  if (entries.length > MOST_ENTRIES) shown.push(['…', `${entries.length - MOST_ENTRIES} more`]);
  // `__proto__` is a name like any other.
  return Object.assign(Object.create(null), Object.fromEntries(shown));
}

function named(name: string, value: unknown, within: readonly unknown[]): unknown {
  const isSecret = SECRET_NAME.test(name.toLowerCase().replace(/[^a-z]/g, ''));
  return isSecret && value !== undefined && value !== null ? REDACTED : harmless(value, within);
}

function errorOf(error: Error, within: readonly unknown[]): Record<string, unknown> {
  const code = 'code' in error ? error.code : undefined;
  return {
    name: harmlessText(error.name),
    ...(code !== undefined && { code: harmless(code, within) }),
    message: harmlessText(error.message),
    // What has no code is a mistake in code: whoever mends it needs the place.
    ...(code === undefined && error.stack !== undefined && { stack: stackOf(error.stack) }),
    ...(error.cause !== undefined && { cause: harmless(error.cause, within) }),
  };
}

const stackOf = (stack: string): string[] =>
  stack
    .split('\n')
    .filter((line) => /^ +at /.test(line))
    .map((line) => harmlessText(line.trim()));

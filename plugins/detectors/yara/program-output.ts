/**
 * What `yara -e -m` prints, a line for each rule that matches a file:
 *
 *   namespace:rule [key="text",count=5,flag=true] /path/of/the/file
 *
 * Namespaces begin with a word that nobody else knows (program-rules.ts): a rule can print too, and what it
 * prints may come from the guest. Texts are escaped, so a line break is always the end of a line.
 */
import type { Match } from './scanner.ts';

export interface OutputLine {
  readonly path: string;
  /** Undefined: the file was scanned to its end. */
  readonly match: Match | undefined;
}

/** The namespace, after the secret, of the rule that matches every file. */
export const END = 'end';

const LINE = /^(?<place>\d+|end):(?<rule>\w+) \[(?<meta>(?:[^"\]]|"(?:\\.|[^"\\])*")*)\] (?<path>.+)$/s;
const META = /(?<key>\w+) *=(?:"(?<text>(?:\\.|[^"\\])*)"|(?<number>-?\d+)|(?<flag>true|false))(?:,|$)/gs;
const ESCAPE = /\\(?:x(?<hex>[0-9a-fA-F]{2})|(?<letter>.))/gs;
const LETTERS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

/** Undefined for a line that is no match. */
export function parseLine(line: string, secret: string): OutputLine | undefined {
  if (!line.startsWith(`${secret}.`)) return undefined;
  const { place, rule, meta, path } = LINE.exec(line.slice(secret.length + 1))?.groups ?? {};
  if (place === undefined || rule === undefined || path === undefined) return undefined;
  if (place === END) return { path, match: undefined };
  return { path, match: { rule, file: Number(place), meta: parseMeta(meta ?? '') } };
}

function parseMeta(text: string): Match['meta'] {
  return Object.fromEntries(
    Array.from(text.matchAll(META), ({ groups = {} }) => [groups.key, valueFrom(groups)]),
  );
}

function valueFrom({ text, number, flag }: Readonly<Record<string, string | undefined>>): unknown {
  if (text !== undefined) return unescaped(text);
  return number === undefined ? flag === 'true' : Number(number);
}

function unescaped(text: string): string {
  return text.replace(ESCAPE, (_, hex?: string, letter = '') =>
    hex === undefined ? (LETTERS[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

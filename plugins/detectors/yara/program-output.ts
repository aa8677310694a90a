/**
 * What `yara -e` prints, a line for each rule that matches a file:
 *
 *   namespace:rule /path/of/the/file
 *
 * Namespaces begin with a word that nobody else knows (program-rules.ts): a rule can print too, and what it
 * prints may come from the guest.
 */
import type { Match } from './scanner.ts';

export interface OutputLine {
  readonly path: string;
  /** Undefined: the file was scanned to its end. */
  readonly match: Match | undefined;
}

/** The namespace, after the secret, of the rule that matches every file. */
export const END = 'end';

const LINE = /^(?<place>\d+|end):(?<rule>\w+) (?<path>.+)$/s;

/** Undefined for a line that is no match. */
export function parseLine(line: string, secret: string): OutputLine | undefined {
  if (!line.startsWith(`${secret}.`)) return undefined;
  const { place, rule, path } = LINE.exec(line.slice(secret.length + 1))?.groups ?? {};
  if (place === undefined || rule === undefined || path === undefined) return undefined;
  return { path, match: place === END ? undefined : { rule, file: Number(place) } };
}

/**
 * The texts in the metadata of rules, read off their source: engines hand them over in ways of their own, one of
 * them without those that have an escape in them.
 */
import { declaredRules, GAP } from './declarations.ts';

export type Metadata = ReadonlyMap<string, string>;

const NONE: Metadata = new Map();
const SECTION = new RegExp(String.raw`(?<![\w$#@!])meta${GAP}:`);
const ENTRY = new RegExp(
  String.raw`${GAP}(?<key>[A-Za-z_]\w*)${GAP}=${GAP}(?:"(?<text>(?:\\.|[^"\\\n])*)"|-?\w+)`,
  'y',
);
const ESCAPE = /\\(?:x(?<hex>[0-9a-fA-F]{2})|(?<letter>.))/g;
const LETTERS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

/** By file and rule; a file is read when one of its rules is asked for. */
export class MetadataIndex {
  private readonly known = new Map<string, ReadonlyMap<string, Metadata>>();

  of({ name, text }: { readonly name: string; readonly text: string }, rule: string): Metadata {
    const known = this.known.get(name) ?? metadataIn(text);
    this.known.set(name, known);
    return known.get(rule) ?? NONE;
  }
}

function metadataIn(source: string): ReadonlyMap<string, Metadata> {
  return new Map(declaredRules(source).map(({ name, text }) => [name, entriesOf(text)]));
}

function entriesOf(rule: string): Metadata {
  const entries = new Map<string, string>();
  const section = SECTION.exec(rule);
  if (section === null) return entries;
  ENTRY.lastIndex = section.index + section[0].length;
  for (let entry = ENTRY.exec(rule); entry !== null; entry = ENTRY.exec(rule)) {
    const { key = '', text } = entry.groups ?? {};
    if (text !== undefined) entries.set(key, unescaped(text));
  }
  return entries;
}

function unescaped(text: string): string {
  return text.replace(ESCAPE, (_, hex?: string, letter = '') =>
    hex === undefined ? (LETTERS[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/**
 * What a YARA source file declares, read without compiling it. Comments, strings and regular expressions are
 * skipped, so that a `rule` within them is no rule. Grammar:
 * https://virustotal.github.io/yara-x/docs/writing_rules/anatomy-of-a-rule/.
 *
 * Meant for files that compile; of others it gives some answer and never fails.
 */
import { EXTERNALS, type External } from './externals.ts';
import { anyOf, type Guard, guardOf } from './guard.ts';

export interface Declarations {
  readonly rules: readonly string[];
  readonly modules: readonly string[];
  /** A global rule decides over all rules of its file. */
  readonly global: boolean;
  /** It includes another file, which no engine here does. */
  readonly includes: boolean;
  /** External variables that conditions speak of, but those that are names of the file's own. */
  readonly externals: readonly External[];
  /** Holds of every content that a rule of the file could match. */
  readonly guard: Guard;
}

/** One rule as it stands in its file. */
export interface DeclaredRule {
  readonly name: string;
  readonly global: boolean;
  /** From its first word to the next rule's. */
  readonly text: string;
  /** Where its condition begins and ends in the file; both the end of the rule when it has none. */
  readonly condition: readonly [from: number, to: number];
  /** The condition with comments, strings and regular expressions blanked. */
  readonly bare: string;
}

const COMMENT = String.raw`\/\*[\s\S]*?\*\/|\/\/[^\n]*`;
/** What may stand between two words. */
export const GAP = String.raw`(?:\s|${COMMENT})*`;
const STRING = String.raw`"(?:\\.|[^"\\\n])*"`;
/** A slash divides, unless it follows one of these. */
const REGEX = String.raw`(?:[=(,]|\bmatches\b)${GAP}\/(?![*\/])(?:\\.|[^\/\\\n])+\/`;
const IMPORT = String.raw`\bimport${GAP}"(?<module>[^"\n]*)"`;
const INCLUDE = String.raw`(?<include>\binclude${GAP}"[^"\n]*")`;
/** Not after a sigil: `$rule` names a pattern. */
const RULE = String.raw`(?<![\w$#@!])(?<modifiers>(?:(?:private|global)\b${GAP})*)rule\b${GAP}(?<rule>[A-Za-z_]\w*)`;
const TOKEN = new RegExp([COMMENT, IMPORT, INCLUDE, STRING, REGEX, RULE].join('|'), 'g');
const OPAQUE = new RegExp([COMMENT, STRING, REGEX].join('|'), 'g');
const CONDITION = /\bcondition\s*:(?<condition>[^}]*)\}/d;
const IDENTIFIER = /(?<![\w$#@!.])[A-Za-z_]\w*/g;

export function declarations(text: string): Declarations {
  const modules = new Set<string>();
  let includes = false;
  for (const { groups } of text.matchAll(TOKEN)) {
    if (groups?.module !== undefined) modules.add(groups.module);
    includes ||= groups?.include !== undefined;
  }
  const rules = declaredRules(text);
  const names = rules.map(({ name }) => name);
  const own = new Set([...names, ...modules]);
  return {
    rules: names,
    modules: [...modules],
    global: rules.some(({ global }) => global),
    includes,
    externals: externalsOf(rules.map(({ bare }) => bare).join('\n')).filter((name) => !own.has(name)),
    guard: anyOf(rules.map(({ bare }) => guardOf(bare))),
  };
}

/** The rules of a file, in its order. */
export function declaredRules(text: string): readonly DeclaredRule[] {
  const bare = text.replace(OPAQUE, (opaque) => ' '.repeat(opaque.length));
  const starts = [...text.matchAll(TOKEN)].filter(({ groups }) => groups?.rule !== undefined);
  return starts.map(({ index, groups }, place) => {
    const end = starts[place + 1]?.index ?? text.length;
    const [from, to] = CONDITION.exec(bare.slice(index, end))?.indices?.groups?.condition ?? [];
    const condition = [index + (from ?? end - index), index + (to ?? end - index)] as const;
    return {
      name: groups?.rule ?? '',
      global: /\bglobal\b/.test(groups?.modifiers ?? ''),
      text: text.slice(index, end),
      condition,
      bare: bare.slice(...condition),
    };
  });
}

/** External variables that a bare condition speaks of. */
export function externalsOf(bare: string): readonly External[] {
  const found = new Set(Array.from(bare.matchAll(IDENTIFIER), ([name]) => name));
  return EXTERNALS.filter((name) => found.has(name));
}

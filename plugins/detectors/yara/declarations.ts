import { guardOf } from './guard.ts';

/**
 * What a YARA source file declares, read without compiling it: names of rules, imported modules, whether
 * a rule is global, and the guard of its rules. Comments, strings and regular expressions are skipped, so that a `rule` within them is
 * no rule. Grammar: https://virustotal.github.io/yara-x/docs/writing_rules/anatomy-of-a-rule/.
 *
 * Meant for files that compile; of others it gives some answer and never fails.
 */
export interface Declarations {
  readonly rules: readonly string[];
  readonly modules: readonly string[];
  /** A global rule decides over all rules of its file. */
  readonly global: boolean;
  /** The test of the first bytes that every condition begins with (`guard.ts`). */
  readonly guard: string | undefined;
}

const COMMENT = String.raw`\/\*[\s\S]*?\*\/|\/\/[^\n]*`;
const GAP = String.raw`(?:\s|${COMMENT})*`;
const STRING = String.raw`"(?:\\.|[^"\\\n])*"`;
/** A slash divides, unless it follows one of these. */
const REGEX = String.raw`(?:[=(,]|\bmatches\b)${GAP}\/(?![*\/])(?:\\.|[^\/\\\n])+\/`;
const IMPORT = String.raw`\bimport${GAP}"(?<module>[^"\n]*)"`;
/** Not after a sigil: `$rule` names a pattern. */
const RULE = String.raw`(?<![\w$#@!])(?<modifiers>(?:(?:private|global)\b${GAP})*)rule\b${GAP}(?<rule>[A-Za-z_]\w*)`;
const TOKEN = new RegExp([COMMENT, IMPORT, STRING, REGEX, RULE].join('|'), 'g');
const OPAQUE = new RegExp([COMMENT, STRING, REGEX].join('|'), 'g');

export function declarations(text: string): Declarations {
  const rules: string[] = [];
  const modules = new Set<string>();
  let global = false;
  for (const { groups } of text.matchAll(TOKEN)) {
    if (groups?.module !== undefined) modules.add(groups.module);
    if (groups?.rule !== undefined) {
      rules.push(groups.rule);
      global ||= /\bglobal\b/.test(groups.modifiers ?? '');
    }
  }
  return { rules, modules: [...modules], global, guard: guardOf(text.replace(OPAQUE, ' ')) };
}

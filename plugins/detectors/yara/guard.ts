/**
 * The test of the first bytes that a rule begins with, such as `uint16(0) == 0x5A4D and …` (it is a Windows
 * program). YARA-X searches a file for patterns only when a condition asks for one, so a set of rules whose
 * conditions all begin with a test that fails costs next to nothing: rules are therefore compiled into sets by
 * their guards. Which set a rule is in never changes what it finds, so a guard that is not recognised here
 * costs time and nothing else.
 */
const CONDITION = /\bcondition\s*:(?<condition>[^}]*)\}/g;
const GUARD =
  /^\s*(?<test>u?int(?:8|16|32)(?:be)?\s*\(\s*0\s*\)\s*==\s*(?:0x[0-9a-f]+|\d+))\s+and\b(?<rest>[\s\S]*)$/i;

/** The guard that all conditions share; undefined when there is none. `bare`: source without comments, strings and regular expressions. */
export function guardOf(bare: string): string | undefined {
  const guards = new Set<string | undefined>();
  for (const { groups } of bare.matchAll(CONDITION)) guards.add(guardOfCondition(groups?.condition ?? ''));
  const [guard] = guards;
  return guards.size === 1 ? guard : undefined;
}

function guardOfCondition(condition: string): string | undefined {
  const { test, rest } = GUARD.exec(condition)?.groups ?? {};
  if (test === undefined || hasAlternative(rest ?? '')) return undefined;
  return test.replace(/\s+/g, '').toLowerCase();
}

/** An `or` outside parentheses: the condition may hold although the guard does not. */
function hasAlternative(rest: string): boolean {
  let depth = 0;
  for (const [token] of rest.matchAll(/[()]|\bor\b/g)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (depth === 0) return true;
  }
  return false;
}

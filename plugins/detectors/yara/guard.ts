/**
 * What a condition demands of the first bytes and of the size of a content, such as `uint16(0) == 0x5A4D and
 * filesize < 2MB and …` (a small Windows program). It is read off the condition's text and is never stricter
 * than the condition: what is not recognised may hold of anything. So a rule can be left aside where its guard
 * does not hold, and nothing that it would find is lost.
 */
export type Guard =
  | { readonly all: readonly Guard[] }
  | { readonly any: readonly Guard[] }
  | HeadTest
  | SizeTest;

/** `uint16be(4) == 0xCAFE`: an unsigned number within the head. */
export interface HeadTest {
  readonly at: number;
  readonly bytes: 1 | 2 | 4;
  readonly bigEndian: boolean;
  readonly equals: number;
}

/** Bytes of the whole content, both inclusive. */
export interface SizeTest {
  readonly from: number;
  readonly to: number;
}

/** What is known of a content: its first `HEAD_BYTES` bytes, or all of a shorter one. */
export interface Outline {
  readonly size: number;
  readonly head: Uint8Array;
}

/** Holds of any content. */
export const ALWAYS: Guard = { all: [] };
/** As many as are kept of every content (`ContentSummary`). */
export const HEAD_BYTES = 32;
/** Deeper parentheses are not looked into. */
const MAX_DEPTH = 32;

const NUMBER = String.raw`(?<number>0x[0-9a-fA-F]+|\d+)(?<unit>KB|MB)?`;
const HEAD = /^u?int(?<bits>8|16|32)(?<be>be)?\s*\(\s*(?<at>0x[0-9a-fA-F]+|\d+)\s*\)$/;
const COMPARISON = new RegExp(String.raw`^(?<left>.*?)\s*(?<sign>==|<=|>=|<|>)\s*${NUMBER}$`, 's');
const REVERSED = new RegExp(String.raw`^${NUMBER}\s*(?<sign>==|<=|>=|<|>)\s*(?<left>[^=].*)$`, 's');
const MIRRORED: Readonly<Record<string, string>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=' };
const UNITS: Readonly<Record<string, number>> = { KB: 1024, MB: 1024 * 1024 };

/** `condition`: without comments, strings and regular expressions. */
export function guardOf(condition: string, depth = 0): Guard {
  if (depth > MAX_DEPTH) return ALWAYS;
  const deeper = (part: string): Guard => guardOf(part, depth + 1);
  const alternatives = split(condition, 'or');
  if (alternatives.length > 1) return anyOf(alternatives.map(deeper));
  const demands = split(condition, 'and');
  if (demands.length > 1) return allOf(demands.map(deeper));
  const inner = withinParentheses(condition.trim());
  return inner === undefined ? testOf(condition.trim()) : deeper(inner);
}

export function anyOf(guards: readonly Guard[]): Guard {
  if (guards.some(isAlways)) return ALWAYS;
  return joined(guards, (distinct) => ({ any: distinct }));
}

function allOf(guards: readonly Guard[]): Guard {
  return joined(
    guards.filter((guard) => !isAlways(guard)),
    (distinct) => ({ all: distinct }),
  );
}

/** The same tests in the same order, whatever order they were written in. */
function joined(guards: readonly Guard[], join: (distinct: readonly Guard[]) => Guard): Guard {
  const distinct = new Map(guards.map((guard) => [JSON.stringify(guard), guard]));
  const sorted = [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, guard]) => guard);
  const [only] = sorted;
  return sorted.length === 1 && only !== undefined ? only : join(sorted);
}

export const isAlways = (guard: Guard): boolean => 'all' in guard && guard.all.length === 0;

/** What is left of a guard when nothing is known of the size. */
export const headGuard = (guard: Guard): Guard => mapTests(guard, (test) => ('at' in test ? test : ALWAYS));

/** What is left of a guard when nothing but the size is known. */
export const sizeGuard = (guard: Guard): Guard => mapTests(guard, (test) => ('at' in test ? ALWAYS : test));

function mapTests(guard: Guard, map: (test: HeadTest | SizeTest) => Guard): Guard {
  if ('all' in guard) return allOf(guard.all.map((part) => mapTests(part, map)));
  if ('any' in guard) return anyOf(guard.any.map((part) => mapTests(part, map)));
  return map(guard);
}

export function* testsOf(guard: Guard): Generator<HeadTest | SizeTest> {
  if ('all' in guard) for (const part of guard.all) yield* testsOf(part);
  else if ('any' in guard) for (const part of guard.any) yield* testsOf(part);
  else yield guard;
}

/** Whether a rule with this guard could match such a content. */
export function mayHold(guard: Guard, outline: Outline): boolean {
  if ('all' in guard) return guard.all.every((part) => mayHold(part, outline));
  if ('any' in guard) return guard.any.some((part) => mayHold(part, outline));
  if ('at' in guard) return numberAt(outline.head, guard) === guard.equals;
  return outline.size >= guard.from && outline.size <= guard.to;
}

/** -1 where the content is too short. */
export function numberAt(
  head: Uint8Array,
  { at, bytes, bigEndian }: Pick<HeadTest, 'at' | 'bytes' | 'bigEndian'>,
): number {
  if (at + bytes > head.length) return -1;
  let number = 0;
  for (let index = 0; index < bytes; index++) {
    number = number * 256 + (head[bigEndian ? at + index : at + bytes - 1 - index] ?? 0);
  }
  return number;
}

/** At `word`, outside of parentheses. */
function split(text: string, word: 'and' | 'or'): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (const { 0: token, index } of text.matchAll(/[()]|(?<![\w$#@!.])(?:and|or)\b/g)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === word && depth === 0) {
      parts.push(text.slice(from, index));
      from = index + word.length;
    }
  }
  return [...parts, text.slice(from)];
}

/** What stands in the parentheses that go around the whole text; undefined when none do. */
function withinParentheses(text: string): string | undefined {
  if (!text.startsWith('(')) return undefined;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/[()]/g)) {
    depth += token === '(' ? 1 : -1;
    if (depth === 0) return index === text.length - 1 ? text.slice(1, -1) : undefined;
  }
  return undefined;
}

function testOf(text: string): Guard {
  const plain = COMPARISON.exec(text)?.groups;
  const reversed = REVERSED.exec(text)?.groups;
  const { left = '', sign = '', number, unit = '' } = plain ?? reversed ?? {};
  const value = Number(number) * (UNITS[unit] ?? 1);
  if (!Number.isSafeInteger(value)) return ALWAYS;
  if (left === 'filesize') return sizeTest(plain ? sign : (MIRRORED[sign] ?? sign), value);
  const { bits, be, at } = HEAD.exec(left)?.groups ?? {};
  const bytes = (Number(bits) / 8) as HeadTest['bytes'];
  if (sign !== '==' || at === undefined || Number(at) + bytes > HEAD_BYTES) return ALWAYS;
  return { at: Number(at), bytes, bigEndian: be !== undefined, equals: value };
}

function sizeTest(sign: string, value: number): SizeTest {
  const [from, to] = [0, Number.MAX_SAFE_INTEGER];
  switch (sign) {
    case '<':
      return { from, to: value - 1 };
    case '<=':
      return { from, to: value };
    case '>':
      return { from: value + 1, to };
    case '>=':
      return { from: value, to };
    default:
      return { from: value, to: value };
  }
}

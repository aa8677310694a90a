import { expect, it } from 'vitest';
import { declarations } from './declarations.ts';
import { ruleSets } from './rule-sets.ts';

const setsOf = (...sources: string[]): number[][] => {
  const files = sources.map((text, place) => ({ ...declarations(text), place }));
  return ruleSets(files, false).map((set) => set.files.map(({ place }) => place));
};

it('keeps together what does not clash', () => {
  expect(setsOf('rule a {', 'rule b {', 'import "pe" rule c {')).toEqual([[0, 1, 2]]);
});

it('parts equal names, and goes on filling the first set', () => {
  expect(setsOf('rule a {', 'rule a {', 'rule b {', 'rule a {')).toEqual([[0, 2], [1], [3]]);
});

it('leaves a file with a global rule alone', () => {
  expect(setsOf('global rule a {', 'rule b {', 'global rule c {')).toEqual([[0], [1], [2]]);
});

it('parts a rule from a module of the same name, whichever comes first', () => {
  expect(setsOf('rule pe {', 'import "pe" rule b {')).toEqual([[0], [1]]);
  expect(setsOf('import "pe" rule b {', 'rule pe {')).toEqual([[0], [1]]);
});

const guarded = (guard: string, ...names: string[]): string =>
  names.map((name) => `rule ${name} { condition: ${guard} and true }`).join('\n');
const names = (prefix: string): string[] => Array.from({ length: 32 }, (_, at) => `${prefix}${at}`);

it('gives a set to the guard of many rules, and keeps the rest together', () => {
  const pe = 'uint16(0) == 0x5A4D';
  const elf = 'uint32(0) == 0x464C457F';
  const sources = [
    guarded(pe, ...names('a')),
    'rule b {',
    guarded(elf, 'c'),
    guarded(pe, 'd'),
    guarded(pe, 'a0'),
  ];
  expect(setsOf(...sources)).toEqual([[0, 3], [4], [1, 2]]);
});

it('parts files that use external variables from those that do not, and from rules of that name', () => {
  const uses = 'rule a { condition: filename == "x" and owner == "y" }';
  expect(setsOf(uses, 'rule b {', 'rule owner { condition: filename == "x" }', 'rule filename {')).toEqual([
    [0],
    [2],
    [1, 3],
  ]);
  const [set] = ruleSets([declarations(uses)], true);
  expect(set?.externals).toEqual(['filename', 'owner']);
});

it('leaves names alone where there are namespaces', () => {
  const files = ['rule a {', 'rule a {', 'global rule b {'].map((text) => declarations(text));
  expect(ruleSets(files, true)).toHaveLength(1);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { declarations } from './declarations.ts';
import { RuleChoice } from './rule-choice.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lazaret-yara-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, text: string) => ({ path: `/rules/${name}`, name, text, ...declarations(text) });
const guarded = (name: string, guard: string) =>
  file(
    name,
    Array.from({ length: 32 }, (_, at) => `rule ${name}${at} { condition: ${guard} and true }`).join('\n'),
  );
const any = file('any', 'rule any { condition: true }');
const pe = guarded('pe', 'uint16(0) == 0x5A4D');
const small = guarded('small', 'uint8(0) == 0x23 and filesize < 10');

const content = (name: string, bytes: string): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};
const placesFor = (choice: RuleChoice, path: string): number[] =>
  choice
    .for(path)
    .map(({ place }) => place)
    .sort();

it('leaves out what could not match such a file', () => {
  const choice = new RuleChoice([pe, any, small]);
  expect(placesFor(choice, content('pe', 'MZ…'))).toEqual([0, 1]);
  expect(placesFor(choice, content('script', '#!/bin/sh'))).toEqual([1, 2]);
  expect(placesFor(choice, content('long', '#!/bin/sh and more'))).toEqual([1]);
  expect(placesFor(choice, content('empty', ''))).toEqual([1]);
  expect(choice.for(join(folder, 'long'))).toBe(choice.for(join(folder, 'empty')));
});

it('is nothing where no rule could match', () => {
  expect(placesFor(new RuleChoice([pe]), content('text', 'text'))).toEqual([]);
});

it('is everything for what cannot be read', () => {
  const choice = new RuleChoice([pe, any, small]);
  expect(placesFor(choice, join(folder, 'nowhere'))).toEqual([0, 1, 2]);
  expect(placesFor(choice, folder)).toEqual([0, 1, 2]);
});

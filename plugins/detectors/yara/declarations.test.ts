import { expect, it } from 'vitest';
import { declarations, declaredRules } from './declarations.ts';

it('finds rules, modules and global rules', () => {
  const text =
    'import "pe"\nimport /* of */ "elf"\nprivate global rule a { condition: true }\nrule b:tag{condition:a}';
  expect(declarations(text)).toMatchObject({ rules: ['a', 'b'], modules: ['pe', 'elf'], global: true });
});

it('is not misled by comments, strings, regular expressions and pattern names', () => {
  const text = String.raw`
    // rule in_comment { condition: true }
    /* global rule in_block { condition: true } */
    rule real /* rule between */ {
      meta: note = "rule in_string { \" rule still_string" path = "C:\\"
      strings:
        $rule = /rule in_regex "/ // rule after
        $hex = { 00 ( 01 | /* " rule in_hex */ 02 ) 03 }
      condition:
        #rule > 1 and $rule in (0..10) and filesize / 2 > 1 and "x" matches /\/rule in_match "/
    }
    rule last { condition: real }`;
  expect(declarations(text)).toMatchObject({ rules: ['real', 'last'], modules: [], global: false });
});

it('takes a private rule for what it is', () => {
  expect(declarations('private /* x */ rule p { condition: true }').global).toBe(false);
});

it('finds the external variables that conditions use, and no others', () => {
  const text = `
    rule extension { meta: owner = "x" strings: $filetype = "a" $s = { 00 } condition: $filetype and $s }
    rule b { condition: filename == "owner" and extension and pe.filetype == 1 /* filepath */ }`;
  expect(declarations(text).externals).toEqual(['filename']);
});

it('sees an include, and none in a string or a comment', () => {
  expect(declarations('include "other.yar"').includes).toBe(true);
  expect(
    declarations('rule a { strings: $a = "include \\"x\\"" condition: $a } // include "y"').includes,
  ).toBe(false);
});

it('cuts rules apart, each with its condition', () => {
  const text = 'rule a { condition: 1 == 1 } // of a\nprivate rule b : tag { condition: a /* } */ }';
  const rules = declaredRules(text);
  expect(rules.map(({ text }) => text)).toEqual([
    'rule a { condition: 1 == 1 } // of a\n',
    'private rule b : tag { condition: a /* } */ }',
  ]);
  expect(rules.map(({ condition }) => text.slice(...condition))).toEqual([' 1 == 1 ', ' a /* } */ ']);
});

it.each(['', 'rule', 'rule {', '"', '/*', 'import "', 'rule a { strings: $a = /'])(
  'answers for %j',
  (text) => {
    expect(() => declarations(text)).not.toThrow();
  },
);

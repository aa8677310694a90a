import { expect, it } from 'vitest';
import { declarations } from './declarations.ts';

it('finds rules, modules and global rules', () => {
  const text =
    'import "pe"\nimport /* of */ "elf"\nprivate global rule a { condition: true }\nrule b:tag{condition:a}';
  expect(declarations(text)).toEqual({ rules: ['a', 'b'], modules: ['pe', 'elf'], global: true });
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
  expect(declarations(text)).toEqual({ rules: ['real', 'last'], modules: [], global: false });
});

it('takes a private rule for what it is', () => {
  expect(declarations('private /* x */ rule p { condition: true }').global).toBe(false);
});

it.each(['', 'rule', 'rule {', '"', '/*', 'import "', 'rule a { strings: $a = /'])(
  'answers for %j',
  (text) => {
    expect(() => declarations(text)).not.toThrow();
  },
);

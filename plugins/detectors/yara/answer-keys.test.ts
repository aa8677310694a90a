import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { ContentSummary, FileFacts } from 'lazaret/plugin';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AnswerKeys } from './answer-keys.ts';
import { declarations } from './declarations.ts';
import { HEAD_BYTES } from './guard.ts';
import type { RuleFile } from './rule-files.ts';
import { WasmScanner } from './wasm-scanner.ts';

const file = (name: string, text: string): RuleFile => ({
  path: `/rules/${name}`,
  name,
  text,
  ...declarations(text),
});
const content = (bytes: string, size = bytes.length): ContentSummary => ({
  size,
  head: Buffer.from(bytes, 'latin1').subarray(0, HEAD_BYTES),
  digests: { sha256: '' },
});
const facts = (path: string, uid = 0): FileFacts => ({
  path,
  size: 0,
  mode: 0o100644,
  uid,
  gid: 0,
  mtime: '0.000000000',
});
const keyOf = (files: readonly RuleFile[], of: ContentSummary, named = facts('/a')): string =>
  new AnswerKeys('engine 1', files).keyFor(named, of);

const PE = 'MZ, or so it begins';
const TEXT = 'just some text';
const peRule = (name: string, more = 'true'): string =>
  `rule ${name} { condition: uint16(0) == 0x5A4D and ${more} }\n`;

describe('the key of an answer', () => {
  it('stays when rules come, change or go that could not match such a content', () => {
    const before = [file('a.yar', `${peRule('p')}rule t { condition: filesize < 5MB }`)];
    const after = [
      file('a.yar', `${peRule('p', 'filesize > 3')}rule t { condition: filesize < 5MB }`),
      file('b.yar', `${peRule('q')}rule large { condition: filesize > 1MB }`),
    ];
    expect(keyOf(after, content(TEXT))).toBe(keyOf(before, content(TEXT)));
    expect(keyOf(after, content(PE))).not.toBe(keyOf(before, content(PE)));
    expect(keyOf(after, content(TEXT, 2 ** 21))).not.toBe(keyOf(before, content(TEXT, 2 ** 21)));
  });

  it('changes with the engine, with the text of a rule and with the name of its file', () => {
    const rule = file('a.yar', 'rule t { condition: true }');
    const keys = [
      keyOf([rule], content(TEXT)),
      new AnswerKeys('engine 2', [rule]).keyFor(facts('/a'), content(TEXT)),
      keyOf([file('a.yar', 'rule t { meta: a = 1 condition: true }')], content(TEXT)),
      keyOf([file('b.yar', 'rule t { condition: true }')], content(TEXT)),
      keyOf([file('a.yar', 'private rule t { condition: true }')], content(TEXT)),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('takes a file whole where rules depend on each other', () => {
    const every = 'rule t { condition: all of (p*) }';
    const [with1, with2] = [peRule('p1') + every, peRule('p1') + peRule('p2') + every];
    expect(keyOf([file('a', with1)], content(TEXT))).not.toBe(keyOf([file('a', with2)], content(TEXT)));
    const free = 'rule t { condition: true }';
    const ruled = `global ${peRule('p')}${free}`;
    expect(keyOf([file('a', free)], content(TEXT))).not.toBe(keyOf([file('a', ruled)], content(TEXT)));
  });

  it('depends on facts of the file only where a rule that could match asks for them', () => {
    const rules = [file('a', `${peRule('p', 'filename == "x"')}rule t { condition: true }`)];
    const [x, y, owned] = [facts('/x'), facts('/y'), facts('/x', 7)];
    expect(keyOf(rules, content(TEXT), x)).toBe(keyOf(rules, content(TEXT), y));
    expect(keyOf(rules, content(PE), x)).not.toBe(keyOf(rules, content(PE), y));
    expect(keyOf(rules, content(PE), x)).toBe(keyOf(rules, content(PE), owned));
    const typed = [file('a', 'rule t { condition: filetype == "EXE" }')];
    expect(keyOf(typed, content(PE), x)).toBe(keyOf(typed, content(PE), y));
  });

  it('is there for an empty content and for no rules', () => {
    expect(keyOf([file('a', peRule('p'))], content(''))).toBe(keyOf([], content('')));
  });
});

/** Conditions whose answers hang on guards, on other rules and on their number. */
const CONDITIONS = [
  'uint16(0) == 0x5A4D and filesize < 4',
  'uint16(0) == 0x5A4D and filesize > 2',
  '(uint8(0) == 0x4D or uint8(1) == 0x58) and true',
  'uint16be(1) == 0x5A58 or filesize == 0',
  'not uint8(0) == 0x4D and filesize < 3',
  '4 > filesize and (filesize >= 2 and uint8(0) == 0x58)',
  'first',
  'not first',
  'first or filesize == 1',
  'not first and uint8(0) == 0x58',
];
const condition = fc.constantFrom(...CONDITIONS);
const ruleSet = fc
  .record({ first: fc.constantFrom(...CONDITIONS.slice(0, 6)), rest: fc.array(condition, { maxLength: 3 }) })
  .chain(({ first, rest }) =>
    fc.record({
      global: fc.constantFrom('', 'global ', 'private '),
      rules: fc.constant([
        `rule first { condition: ${first} }`,
        ...rest.map((c, at) => `rule r${at} { condition: ${c} }`),
      ]),
    }),
  )
  .map(({ global, rules: [first = '', ...rest] }) => [global + first, ...rest].join('\n'));
const bytes = fc.array(fc.constantFrom('M', 'Z', 'X'), { maxLength: 5 }).map((letters) => letters.join(''));

describe('under two rule sets', () => {
  let folder: string;
  let scanner: WasmScanner;
  beforeAll(() => {
    scanner = new WasmScanner();
    folder = mkdtempSync(join(tmpdir(), 'lazaret-yara-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const matchesOf = (text: string, of: string): string[] => {
    const path = join(folder, 'content');
    writeFileSync(path, of);
    if (scanner.check({ text, externals: [] })) return ['does not compile'];
    scanner.load([file('a', text)], 1_000);
    return scanner
      .scan(path)
      .map(({ rule }) => rule)
      .sort();
  };

  it('equal keys mean equal matches', () => {
    let equal = 0;
    fc.assert(
      fc.property(ruleSet, ruleSet, bytes, (one, other, of) => {
        if (one === other || keyOf([file('a', one)], content(of)) !== keyOf([file('a', other)], content(of)))
          return;
        equal++;
        expect(matchesOf(one, of)).toEqual(matchesOf(other, of));
      }),
      { numRuns: 300 },
    );
    expect(equal).toBeGreaterThan(10);
  });
});

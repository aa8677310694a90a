import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compileGlob } from './glob.ts';

it.each([
  ['/tmp/x', '/tmp/x', true],
  ['/tmp/x', '/tmp/xy', false],
  ['/tmp/*', '/tmp/xy', true],
  ['/tmp/*', '/tmp/', true],
  ['/tmp/*', '/tmp/x/y', false],
  ['/*/x*y', '/tmp/xxyy', true],
  ['/*/x*y', '/tmp/xyx', false],
  ['a*a', 'a', false],
  ['a*b*c', 'aXbYc', true],
  ['a*b*c', 'acb', false],
  ['*ab*ab*', 'ab', false],
  ['.+[x]*', '.+[x]$^', true],
])('%s and %s: %s', (pattern, path, expected) => {
  expect(compileGlob(pattern)(path)).toBe(expected);
});

it('says what the regular expression of the same meaning says', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 8 });
  fc.assert(
    fc.property(texts, texts, (pattern, path) => {
      const expected = new RegExp(`^${pattern.replaceAll('*', '[^/]*')}$`).test(path);
      expect(compileGlob(pattern)(path)).toBe(expected);
    }),
    { numRuns: 2_000 },
  );
});

it('comes to an end with what regular expressions choke on', () => {
  expect(compileGlob(`${'a*'.repeat(1_000)}b`)('a'.repeat(100_000))).toBe(false);
});

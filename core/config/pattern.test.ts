import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesPattern } from './pattern.ts';

describe('a pattern of names', () => {
  it.each([
    ['', '', true],
    ['web-1', 'web-*', true],
    ['web-12', 'web-?', false],
    ['xweb-1', 'web-*', false],
    ['a+b', 'a+b', true],
    ['aab', 'a+b', false],
    ['', '*', true],
    ['a', '', false],
    ['abc', 'a*c', true],
    ['abcbc', 'a*bc', true],
    ['abcbd', 'a*bc', false],
    ['ab', 'a*b*', true],
    ['a.c', 'a?c', true],
    ['a.c', 'a.c', true],
    ['abc', 'a.c', false],
    ['[a]', '[a]', true],
    ['a', '[a]', false],
    ['💾', '?', true],
    ['a\nb', 'a*b', true],
  ])('%j against %j: %j', (text, pattern, expected) => {
    expect(matchesPattern(text, pattern)).toBe(expected);
  });

  it('is as the regular expression that says the same', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
    fc.assert(
      fc.property(letters, letters, (text, pattern) => {
        const expression = pattern.replaceAll('?', '.').replaceAll('*', '.*');
        expect(matchesPattern(text, pattern)).toBe(new RegExp(`^${expression}$`, 's').test(text));
      }),
    );
  });

  it('costs little, however it is written', () => {
    expect(matchesPattern('a'.repeat(2000), `${'*a'.repeat(500)}*b`)).toBe(false);
  });
});

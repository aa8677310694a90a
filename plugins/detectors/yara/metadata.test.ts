import { expect, it } from 'vitest';
import { MetadataIndex } from './metadata.ts';

const of = (text: string, rule = 'r'): object =>
  Object.fromEntries(new MetadataIndex().of({ name: 'a.yar', text }, rule));

it('is what a rule says of itself in texts', () => {
  const source = String.raw`
    rule other { meta: a = "other" condition: true }
    private rule r : meta tag {
      meta: // b = "comment"
        a = "x, \"y\" \\ é \x41\n" /* c = "comment" */ n = -3 yes = true
        note = "condition: meta: d = 1"
        a2="last"
      strings: $meta = "meta: e = \"string\"" f = "no entry"
      condition: $meta }`;
  expect(of(source)).toEqual({ a: 'x, "y" \\ é A\n', note: 'condition: meta: d = 1', a2: 'last' });
  expect(of(source, 'other')).toEqual({ a: 'other' });
});

it('is nothing where there is none', () => {
  expect(of('rule r { strings: $a = "meta: a = 1" condition: $a }')).toEqual({});
  expect(of('rule r { meta: condition: true }')).toEqual({});
  expect(of('rule r { meta', 'r')).toEqual({});
  expect(of('', 'r')).toEqual({});
});

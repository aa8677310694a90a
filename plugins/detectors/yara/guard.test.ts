import { describe, expect, it } from 'vitest';
import { declarations } from './declarations.ts';

const guard = (...conditions: string[]): string | undefined =>
  declarations(conditions.map((condition, at) => `rule r${at} { condition: ${condition} }`).join('\n')).guard;

describe('the guard of a rule file', () => {
  it('is the test that every condition begins with', () => {
    expect(guard('uint16(0) == 0x5A4D and $a', 'uint16( 0 )==0x5a4d and (1 or 2)')).toBe('uint16(0)==0x5a4d');
    expect(guard('uint32be(0) == 2135247942 and all of them')).toBe('uint32be(0)==2135247942');
  });

  it('is none where a condition may hold without it', () => {
    expect(guard('uint16(0) == 0x5A4D and $a or $b')).toBeUndefined();
    expect(guard('uint16(0) == 0x5A4D or $a')).toBeUndefined();
    expect(guard('not uint16(0) == 0x5A4D and $a')).toBeUndefined();
    expect(guard('uint16(0) == 0x5A4D and $a', '$b')).toBeUndefined();
    expect(guard('uint16(0) == 0x5A4D and $a', 'uint32(0) == 0x464C457F and $a')).toBeUndefined();
    expect(guard('uint16(4) == 0x5A4D and $a')).toBeUndefined();
  });

  it('is not looked for in comments, strings and regular expressions', () => {
    const source = `rule r { strings: $a = "condition: uint16(0) == 1 and" $b = /condition: x}/
      condition: /* condition: $x } */ uint16(0) == 0x5A4D and // or
      $a and "or" == "or" }`;
    expect(declarations(source).guard).toBe('uint16(0)==0x5a4d');
  });

  it('is none of what is no rule file', () => {
    expect(declarations('').guard).toBeUndefined();
    expect(declarations('condition: } uint16(0) == }').guard).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import { declarations } from './declarations.ts';
import { ALWAYS, type Guard, guardOf, headGuard, isAlways, mayHold, sizeGuard } from './guard.ts';

const PE = { at: 0, bytes: 2, bigEndian: false, equals: 0x5a4d };
const ELF = { at: 0, bytes: 4, bigEndian: true, equals: 0x7f454c46 };
const UNLIMITED = Number.MAX_SAFE_INTEGER;

const guard = (...conditions: string[]): Guard =>
  declarations(conditions.map((condition, at) => `rule r${at} { condition: ${condition} }`).join('\n')).guard;

describe('the guard of a condition', () => {
  it('is what it demands of the first bytes and of the size', () => {
    expect(guardOf('uint16(0) == 0x5A4D and $a')).toEqual(PE);
    expect(guardOf('0x5a4d==uint16( 0x0 )\nand (1 or 2)')).toEqual(PE);
    expect(guardOf('$a and uint32be(0) == 2135247942')).toEqual(ELF);
    expect(guardOf('filesize < 2KB and $a')).toEqual({ from: 0, to: 2047 });
    expect(guardOf('10 <= filesize and #a > 1')).toEqual({ from: 10, to: UNLIMITED });
    expect(guardOf('filesize > 1MB')).toEqual({ from: 1024 * 1024 + 1, to: UNLIMITED });
    expect(guardOf('(filesize == 68)')).toEqual({ from: 68, to: 68 });
    expect(guardOf('(uint16(0) == 0x5A4D or uint32be(0) == 0x7f454c46) and filesize < 10 and $a')).toEqual({
      all: [{ any: [PE, ELF] }, { from: 0, to: 9 }],
    });
  });

  it.each([
    'uint16(0) == 0x5A4D and $a or $b',
    'uint16(0) == 0x5A4D or $a',
    'not uint16(0) == 0x5A4D and $a',
    'not (uint16(0) == 0x5A4D)',
    'uint16(0) != 0x5A4D',
    'uint16(31) == 0x5A4D',
    'uint16(uint32(0x3c)) == 0x5A4D',
    'uint16(0) == 0x5A4D == false',
    'uint16(0) == 0x5A4D & 0xff',
    'filesize < 10 * 1024',
    'filesize - 5 < 10',
    'for any i in (1..2) : ( uint16(0) == 0x5A4D and i == 1 )',
    '(uint16(0)) + (1) == 2',
    'pe.filesize < 10',
    '',
  ])('is none where the condition may hold without it: %s', (condition) => {
    expect(isAlways(guardOf(condition))).toBe(true);
  });

  it('does not go deeper than it should', () => {
    expect(guardOf(`${'('.repeat(10_000)}uint16(0) == 0x5A4D${')'.repeat(10_000)}`)).toBe(ALWAYS);
  });
});

describe('the guard of a rule file', () => {
  it('is the guard of any of its rules', () => {
    expect(guard('uint16(0) == 0x5A4D and $a', 'uint16( 0 )==0x5a4d and (1 or 2)')).toEqual(PE);
    expect(guard('uint16(0) == 0x5A4D and $a', 'uint32be(0) == 0x7F454C46 and $a')).toEqual({
      any: [PE, ELF],
    });
    expect(guard('uint16(0) == 0x5A4D and $a', '$b')).toEqual(ALWAYS);
  });

  it('is not looked for in comments, strings and regular expressions', () => {
    const source = `rule r { strings: $a = "condition: uint16(0) == 1 and" $b = /condition: x}/
      condition: /* condition: $x } */ uint16(0) == 0x5A4D and // or
      $a and "or" == "or" }`;
    expect(declarations(source).guard).toEqual(PE);
  });

  it('is that of nothing where there are no rules', () => {
    expect(declarations('').guard).toEqual({ any: [] });
    expect(declarations('condition: } uint16(0) == }').guard).toEqual({ any: [] });
  });
});

describe('a guard', () => {
  const small = guardOf('(uint16(0) == 0x5A4D or uint8(1) == 0x21) and filesize < 10');
  const bytes = (...head: number[]) => Uint8Array.from(head);

  it('holds of what it describes', () => {
    expect(mayHold(small, { size: 9, head: bytes(0x4d, 0x5a) })).toBe(true);
    expect(mayHold(small, { size: 9, head: bytes(0, 0x21) })).toBe(true);
    expect(mayHold(small, { size: 10, head: bytes(0x4d, 0x5a) })).toBe(false);
    expect(mayHold(small, { size: 9, head: bytes(0x5a, 0x4d) })).toBe(false);
    expect(mayHold(small, { size: 1, head: bytes(0x4d) })).toBe(false);
    expect(mayHold(small, { size: 0, head: bytes() })).toBe(false);
  });

  it('is laxer when less is known', () => {
    expect(mayHold(headGuard(small), { size: 10, head: bytes(0x4d, 0x5a) })).toBe(true);
    expect(mayHold(sizeGuard(small), { size: 9, head: bytes() })).toBe(true);
    expect(mayHold(sizeGuard(small), { size: 10, head: bytes() })).toBe(false);
    expect(isAlways(sizeGuard(guardOf('uint16(0) == 1 or filesize < 5')))).toBe(true);
  });
});

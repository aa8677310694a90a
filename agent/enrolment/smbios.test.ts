import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { structureOf } from '../testing/smbios.ts';
import { oemStrings, readStructure, readTable } from './smbios.ts';

const textOf = (strings: readonly Buffer[]): string[] => strings.map((one) => one.toString('latin1'));
const END = structureOf(127, []);

/** As qemu-system-x86_64 9.2 with `-smbios type=11,value=one,value=two` makes it. */
const QEMU = Buffer.from('0b05000e026f6e650074776f0000', 'hex');

describe('a structure', () => {
  it('of OEM strings gives them', () => {
    const structure = readStructure(QEMU);
    expect(structure).toMatchObject({ type: 11, size: QEMU.length });
    expect(structure && textOf(oemStrings(structure))).toEqual(['one', 'two']);
  });

  it('without strings has none', () => {
    const structure = readStructure(structureOf(11, []));
    expect(structure && oemStrings(structure)).toEqual([]);
    const ofType1 = readStructure(structureOf(1, ['QEMU']));
    expect(ofType1?.strings).toHaveLength(1);
    expect(ofType1 && oemStrings(ofType1)).toEqual([]);
  });

  it('has as many strings as it says, and no more', () => {
    const says = Buffer.from(QEMU);
    says[4] = 1;
    const structure = readStructure(says);
    expect(structure && textOf(oemStrings(structure))).toEqual(['one']);
    says[4] = 200;
    const more = readStructure(says);
    expect(more && textOf(oemStrings(more))).toEqual(['one', 'two']);
    const short = readStructure(Buffer.from('0b04000e6f6e650000', 'hex'));
    expect(short && oemStrings(short)).toEqual([]);
  });

  it('that is cut at any byte is none', () => {
    for (let length = 0; length < QEMU.length; length++)
      expect(readStructure(QEMU.subarray(0, length)), String(length)).toBeUndefined();
  });

  it.each(['', '0b', '0b030000', '0b00000000000000', '0bff00000000', '0b05000e01616161'])(
    'is not %j',
    (hex) => {
      expect(readStructure(Buffer.from(hex, 'hex'))).toBeUndefined();
    },
  );
});

/** No string of SMBIOS is empty or holds a zero byte. */
const byte = fc.integer({ min: 1, max: 255 });
const text = fc.array(byte, { minLength: 1, maxLength: 40 }).map((codes) => String.fromCharCode(...codes));
const texts = fc.array(text, { maxLength: 12 });

describe('whatever there is', () => {
  it('comes out as it was put in, structure by structure', () => {
    const structures = fc.array(fc.tuple(fc.integer({ min: 0, max: 126 }), texts), { maxLength: 8 });
    fc.assert(
      fc.property(structures, fc.uint8Array({ maxLength: 30 }), (made, rest) => {
        const table = Buffer.concat([
          ...made.map(([type, strings]) => structureOf(type, strings)),
          END,
          rest,
        ]);
        const read = [...readTable(table)];
        expect(read.map(({ type, strings }) => [type, textOf(strings)])).toEqual(made);
        expect(read.reduce((sum, { size }) => sum + size, 0) + END.length + rest.length).toBe(table.length);
      }),
    );
  });

  it('is read without an error, within its bytes, and to an end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        const untrusted = Buffer.from(noise);
        let taken = 0;
        for (const structure of readTable(untrusted)) {
          const { formatted, strings, size } = structure;
          expect(size).toBeGreaterThanOrEqual(formatted.length + 2);
          expect(strings.reduce((sum, one) => sum + one.length, formatted.length)).toBeLessThan(size);
          for (const one of oemStrings(structure)) expect(one.includes(0)).toBe(false);
          taken += size;
        }
        expect(taken).toBeLessThanOrEqual(untrusted.length);
      }),
      { numRuns: 1000 },
    );
  });

  it('is read as far as it is whole, wherever it is cut or flipped', () => {
    const table = Buffer.concat([structureOf(1, ['a', 'b']), structureOf(11, ['x', 'y']), END]);
    fc.assert(
      fc.property(fc.nat(table.length), fc.nat(table.length - 1), fc.nat(255), (cut, at, value) => {
        expect([...readTable(table.subarray(0, cut))].length).toBeLessThanOrEqual(2);
        const flipped = Buffer.from(table);
        flipped[at] = value;
        for (const { size } of readTable(flipped)) expect(size).toBeLessThanOrEqual(table.length);
      }),
    );
  });
});

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ElfSketch, elfFile } from '../../../test/elf-file.ts';
import { need } from '../../../test/need.ts';
import { type Needs, type ReadPieces, readNeeds } from './elf.ts';

const MOST_READ = 512 * 1024;

/** Reads from memory, and holds what is asked for to what can be asked of a guest. */
function reader(content: Buffer): { readonly read: ReadPieces; asked: number } {
  const own = {
    asked: 0,
    read: async (pieces: Parameters<ReadPieces>[0]) => {
      for (const [offset, bytes] of pieces) {
        expect(Number.isSafeInteger(offset) && offset >= 0 && offset <= 2 ** 52).toBe(true);
        expect(Number.isSafeInteger(bytes) && bytes > 0 && bytes <= 64 * 1024).toBe(true);
        own.asked += bytes;
      }
      return pieces.map(([offset, bytes]) => content.subarray(offset, offset + bytes));
    },
  };
  return own;
}

const needsOf = (content: Buffer): Promise<Needs | undefined> => readNeeds(reader(content).read);

const SKETCH: ElfSketch = {
  interpreter: '/lib64/ld-linux-x86-64.so.2',
  needs: ['libtinfo.so.6', 'libc.so.6'],
  rpath: '/old',
  runpath: '$ORIGIN/../lib:/opt/x/lib:',
};
const NEEDS: Needs = {
  interpreter: '/lib64/ld-linux-x86-64.so.2',
  libraries: ['libtinfo.so.6', 'libc.so.6'],
  directories: ['/old', '$ORIGIN/../lib', '/opt/x/lib'],
};

describe('what a program needs', () => {
  it.each([
    { is64: true, isLittle: true },
    { is64: true, isLittle: false },
    { is64: false, isLittle: true },
    { is64: false, isLittle: false },
  ])('is read in its own word size and byte order: %o', async (form) => {
    expect(await needsOf(elfFile({ ...SKETCH, ...form }))).toEqual(NEEDS);
  });

  it.runIf(need({ file: '/bin/bash', get: 'run it where there is bash' }))(
    'is read of a program of this machine',
    async () => {
      const needs = await needsOf(readFileSync('/bin/bash'));
      expect(needs?.libraries).toEqual(expect.arrayContaining([expect.stringMatching(/^libc\./)]));
      expect(needs?.interpreter).toMatch(/^\/lib.*\/ld-/);
    },
  );

  it('is nothing for one that is linked with nothing', async () => {
    expect(await needsOf(elfFile({}))).toEqual({ libraries: [], directories: [] });
  });

  it('is unknown of what is no program', async () => {
    const relocatable = elfFile(SKETCH);
    relocatable.writeUInt16LE(1, 16);
    const tables = elfFile(SKETCH);
    tables.writeUInt16LE(0xffff, 56);
    const scripts = Buffer.from(`#!/bin/sh\n${'x'.repeat(100)}`);
    for (const content of [Buffer.alloc(0), scripts, elfFile(SKETCH).subarray(0, 40), relocatable, tables]) {
      expect(await needsOf(content)).toBeUndefined();
    }
  });

  it('leaves out names that lie past the end, do not end, or are too long for a name', async () => {
    const long = elfFile({ needs: ['l'.repeat(300), 'libc.so.6'] });
    expect((await needsOf(long))?.libraries).toEqual(['libc.so.6']);
    const cut = elfFile({ needs: ['libc.so.6', 'liblast.so.1'] });
    const end = cut.indexOf('liblast');
    expect((await needsOf(cut.subarray(0, end + 3)))?.libraries).toEqual(['libc.so.6']);
  });

  it('has bounds: a table of strings that loops into itself, a thousand libraries', async () => {
    const needs = Array.from({ length: 1000 }, (_, at) => `lib${at}.so`);
    const own = reader(elfFile({ needs }));
    expect((await readNeeds(own.read))?.libraries).toHaveLength(512);
    expect(own.asked).toBeLessThan(MOST_READ);
  });
});

it('bears a malformed file of any kind, and asks for little of it', async () => {
  const form = fc.record({ is64: fc.boolean(), isLittle: fc.boolean() });
  const value = fc.constantFrom(0, 1, 2, 3, 5, 15, 29, 0x7f, 0x80, 0xff);
  const edits = fc.array(fc.record({ at: fc.nat({ max: 420 }), value }), { maxLength: 16 });
  const mutated = fc.tuple(form, edits, fc.nat({ max: 700 })).map(([is, all, length]) => {
    const bytes = elfFile({ ...SKETCH, ...is });
    for (const one of all) if (one.at < bytes.length) bytes[one.at] = one.value;
    return bytes.subarray(0, length);
  });
  const noise = fc
    .uint8Array({ maxLength: 400 })
    .map((rest) => Buffer.concat([elfFile({}).subarray(0, 6), rest]));
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, noise), async (content) => {
      const own = reader(content);
      const needs = await readNeeds(own.read);
      for (const name of needs?.libraries ?? []) expect(name).not.toBe('');
      expect(own.asked).toBeLessThan(MOST_READ);
    }),
    { numRuns: 3_000 },
  );
});

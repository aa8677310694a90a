import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import type { FileFacts } from 'lazaret/plugin';
import { describe, expect, it } from 'vitest';
import { setUp } from '../../../test/conformance/set-up.ts';
import { answersOf, fileSubject } from '../../../test/conformance/subjects.ts';
import { type Pieces, readElf } from './elf.ts';
import plugin from './index.ts';
import { detectionsFor } from './reasons.ts';

const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures', name);
const clean = readFileSync(fixture('clean'));
const factsOf = (more: Partial<FileFacts> = {}): FileFacts => ({
  ...{ path: '/usr/bin/x', size: 0, mode: 0o100755, uid: 0, gid: 0, mtime: '0.000000000' },
  ...more,
});

/** The file in memory, and how much of it was read. */
function piecesOf(content: Buffer): Pieces & { bytesRead: number } {
  return {
    size: content.length,
    bytesRead: 0,
    read(offset, length) {
      expect(Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length)).toBe(true);
      const piece = content.subarray(offset, offset + length);
      this.bytesRead += piece.length;
      return Promise.resolve(piece);
    },
  };
}

async function namesFor(content: Buffer, facts = factsOf()): Promise<string[] | undefined> {
  const elf = await readElf(piecesOf(content));
  return elf && detectionsFor(elf, facts).map(({ name }) => name);
}

interface Sketch {
  readonly is64?: boolean;
  readonly isLittle?: boolean;
  readonly segments?: readonly { type: number; flags?: number; name?: string }[];
  readonly sections?: boolean;
  readonly after?: string;
}

/** A program of headers alone, with each interpreter's name behind them. */
function sketch({
  is64 = true,
  isLittle = true,
  segments = [{ type: 1, flags: 5 }],
  ...more
}: Sketch): Buffer {
  const [header, entry, shift] = is64 ? [64, 56, 0] : [52, 32, 12];
  const end = header + entry * segments.length + 64;
  const names = segments.map(({ name = '' }) => Buffer.from(`${name}\0`, 'latin1'));
  const bytes = Buffer.concat([Buffer.alloc(end), ...names, Buffer.alloc(64)]);
  const u16 = (at: number, value: number) =>
    isLittle ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
  const u32 = (at: number, value: number) =>
    isLittle ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
  const word = (at: number, value: number) => u32(is64 && !isLittle ? at + 4 : at, value);
  bytes.write('\x7fELF', 0, 'latin1');
  bytes.set([is64 ? 2 : 1, isLittle ? 1 : 2, 1], 4);
  u16(16, 3);
  u16(18, 62);
  word(is64 ? 32 : 28, header);
  word(is64 ? 40 : 32, more.sections === false ? 0 : bytes.length - 64);
  u16(54 - shift, entry);
  u16(56 - shift, segments.length);
  u16(58 - shift, is64 ? 64 : 40);
  u16(60 - shift, more.sections === false ? 0 : 1);
  let at = end;
  for (const [index, { type, flags = 4 }] of segments.entries()) {
    const base = header + entry * index;
    u32(base, type);
    u32(base + (is64 ? 4 : 24), flags);
    word(base + (is64 ? 8 : 4), at);
    word(base + (is64 ? 32 : 16), names[index]?.length ?? 0);
    at += names[index]?.length ?? 0;
  }
  bytes.write(more.after ?? '', header + entry * segments.length, 'latin1');
  return bytes;
}

describe('a program', () => {
  it('as compilers make it is clean', async () => {
    expect(await namesFor(clean)).toEqual([]);
    expect(await namesFor(readFileSync(process.execPath))).toEqual([]);
  });

  it.each([
    { is64: true, isLittle: true },
    { is64: true, isLittle: false },
    { is64: false, isLittle: true },
    { is64: false, isLittle: false },
  ])('is read in its own word size and byte order: %o', async (form) => {
    const interpreter = { type: 3, name: '/lib/ld-linux.so.2' };
    expect(await namesFor(sketch({ ...form, segments: [{ type: 1, flags: 5 }, interpreter] }))).toEqual([]);
    const odd = { type: 3, name: '/opt/x' };
    const all = { ...form, segments: [{ type: 1, flags: 7 }, odd], sections: false, after: '\0\0\0\0UPX!' };
    expect(await namesFor(sketch(all))).toEqual([
      'packed-with-upx',
      'writes-own-code',
      'no-section-headers',
      'odd-interpreter',
    ]);
  });

  it('without section headers, or with some past its end, is suspicious', async () => {
    expect(await namesFor(readFileSync(fixture('without-sections')))).toEqual(['no-section-headers']);
    expect(await namesFor(clean.subarray(0, -1))).toEqual(['no-section-headers']);
    const far = Buffer.from(clean);
    far.writeBigUInt64LE(2n ** 64n - 1n, 40);
    expect(await namesFor(far)).toEqual(['no-section-headers']);
  });

  it('with a class or byte order that there is not is suspicious', async () => {
    expect(await namesFor(readFileSync(fixture('unidentified')))).toEqual(['odd-identification']);
    const order = Buffer.from(clean);
    order[5] = 0;
    expect(await namesFor(order)).toEqual(['odd-identification']);
  });

  it.each([
    '/lib64/ld-linux-x86-64.so.2',
    '/lib/ld-linux-aarch64.so.1',
    '/lib/ld-musl-x86_64.so.1',
    '/lib/libc.musl-x86_64.so.1',
    '/lib64/ld-lsb-x86-64.so.3',
    '/lib/ld64.so.1',
    '/lib/ld-uClibc.so.0',
    '/libexec/ld-elf.so.1',
    '/system/bin/linker64',
    '/nix/store/abc-glibc-2.40/lib/ld-linux-x86-64.so.2',
    '/home/linuxbrew/.linuxbrew/lib/ld.so',
  ])('may be loaded by %s', async (name) => {
    expect(await namesFor(sketch({ segments: [{ type: 3, name }] }))).toEqual([]);
  });

  it.each([
    '',
    'ld-linux.so.2',
    '/tmp/ld-linux-x86-64.so.2',
    '/dev/shm/ld.so',
    '/usr/bin/x',
    '/lib/ldx',
    '/lib/\x1b[2Jld.so',
    `/${'a/'.repeat(2000)}`,
  ])('loaded by %j is suspicious', async (name) => {
    const elf = await readElf(piecesOf(sketch({ segments: [{ type: 3, name }] })));
    const [detection, ...others] = elf ? detectionsFor(elf, factsOf()) : [];
    expect(others).toEqual([]);
    expect(detection?.name).toBe('odd-interpreter');
    expect(detection?.description).toMatch(/^[ -~]{1,250}$/);
  });

  it('that no kernel loads is none', async () => {
    expect(await namesFor(Buffer.alloc(0))).toBeUndefined();
    for (const name of ['truncated', 'empty', 'text'])
      expect(await namesFor(readFileSync(fixture(name))), name).toBeUndefined();
    const relocatable = Buffer.from(clean);
    relocatable.writeUInt16LE(1, 16);
    expect(await namesFor(relocatable)).toBeUndefined();
    const many = Buffer.from(clean);
    many.writeUInt16LE(0xffff, 56);
    expect(await namesFor(many)).toBeUndefined();
  });
});

describe('a set-user-id program of root', () => {
  const names = (facts: Partial<FileFacts>) => namesFor(clean, factsOf({ mode: 0o104755, ...facts }));

  it.each([
    '/tmp/x',
    '/home/a/.x',
    '/root/bash',
    '/dev/shm/usr/bin/su',
    '/x',
    '/var/www/x',
    '/etc/x',
    '/run/x',
  ])('at %s is suspicious', async (at) => {
    expect(await names({ path: at })).toEqual(['setuid-outside-packages']);
    expect(await names({ path: at, mode: 0o100755 })).toEqual([]);
    expect(await names({ path: at, mode: 0o102755 })).toEqual([]);
    expect(await names({ path: at, uid: 1000 })).toEqual([]);
  });

  it.each([
    ...[
      '/usr/bin/sudo',
      '/bin/su',
      '/usr/lib/openssh/ssh-keysign',
      '/opt/google/chrome/chrome-sandbox',
      '/sbin/mount.nfs',
    ],
    ...['/run/wrappers/bin/sudo', '/var/lib/docker/overlay2/1/diff/bin/su', '/usr/local/bin/x'],
    ...[
      '/srv/chroot/sid/usr/bin/passwd',
      '/home/a/rootfs/bin/mount',
      '/tmp/image/sbin/mount.nfs',
      '/nix/store/a/bin/su',
      '/snap/core/1/bin/su',
    ],
  ])('at %s is clean', async (at) => {
    expect(await names({ path: at })).toEqual([]);
  });
});

describe('the detector', async () => {
  const detector = await setUp(plugin);
  const wants = (more: Partial<FileFacts>) =>
    detector.wants({ kind: 'file', facts: factsOf({ size: 100, ...more }) });

  it('wants what can be executed, and running programs without a name', () => {
    expect([wants({}), wants({ mode: 0o100010 }), wants({ mode: 0, size: 0 })]).toEqual([true, true, true]);
    expect([wants({ mode: 0o100644 }), wants({ size: 51 })]).toEqual([false, false]);
    expect(detector.wants({ kind: 'process' })).toBe(false);
  });

  it('calls nothing malicious', async () => {
    const names = ['without-sections', 'unidentified'];
    const answers = await answersOf(
      detector,
      names.map((name) => fileSubject(fixture(name))),
    );
    for (const answer of answers.values()) {
      expect(answer).toMatchObject({ detections: [{ judgement: 'suspicious' }] });
    }
    expect(answers.size).toBe(names.length);
  });

  it('tells apart what its answer depends on', () => {
    const content = { size: 1, head: new Uint8Array(), digests: { sha256: '00' } };
    const key = (more: Partial<FileFacts>) => detector.answerKey?.(factsOf(more), content);
    expect(key({ path: '/tmp/x', mode: 0o104755 })).not.toBe(key({ path: '/tmp/x' }));
    expect(key({ path: '/usr/bin/y', mode: 0o104755 })).toBe(key({}));
  });
});

describe('a malformed file', () => {
  it('of any kind is borne, and little of it is read', async () => {
    const edit = fc.record({
      at: fc.nat({ max: 400 }),
      value: fc.constantFrom(0, 1, 2, 3, 7, 0x7f, 0x80, 0xff),
    });
    const form = fc.record({ is64: fc.boolean(), isLittle: fc.boolean() });
    const edited = fc.tuple(form, fc.array(edit, { maxLength: 12 }), fc.nat({ max: 700 }));
    const mutated = edited.map(([is, edits, length]) => {
      const segments = [
        { type: 1, flags: 5 },
        { type: 3, name: '/lib/ld.so' },
      ];
      const bytes = sketch({ ...is, segments });
      for (const { at, value } of edits) if (at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, length);
    });
    const noise = fc
      .uint8Array({ maxLength: 300 })
      .map((rest) => Buffer.concat([clean.subarray(0, 6), rest]));
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, noise), async (content) => {
        const pieces = piecesOf(content);
        const elf = await readElf(pieces);
        if (elf) for (const { name } of detectionsFor(elf, factsOf())) expect(name).toMatch(/^[a-z-]+$/);
        expect(pieces.bytesRead).toBeLessThan(100_000);
      }),
      { numRuns: 3_000 },
    );
  });

  it('costs no more than its headers, however large it is', async () => {
    const bytes = Buffer.concat([
      sketch({ segments: [{ type: 3, name: '/lib/ld.so' }] }),
      Buffer.alloc(8_000_000),
    ]);
    bytes.writeUInt16LE(1_170, 56);
    const pieces = piecesOf(bytes);
    expect(await readElf(pieces)).toBeDefined();
    expect(pieces.bytesRead).toBeLessThan(80_000);
    bytes.writeUInt16LE(1_171, 56);
    expect(await readElf(pieces)).toBeUndefined();
  });
});

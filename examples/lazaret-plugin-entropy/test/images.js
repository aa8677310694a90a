/** Programs to try the detector on, put together here. None of them could run. */
import { createHash } from 'node:crypto';

/** Bytes that look encrypted, the same ones each time. @param {number} length */
export function noise(length) {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash('sha256').update(`block ${index}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

/** Bytes that look like code: few values, some more often than others. @param {number} length */
export const code = (length) => Buffer.from(noise(length).map((byte) => (byte & (byte >> 3)) % 97));

/**
 * An ELF program of 64 bits with one executable segment.
 *
 * @param {Buffer} content
 * @param {{ bits?: 32 | 64, bigEndian?: boolean, type?: number, mark?: string, sections?: string[] }} options
 */
export function elf(content, { bits = 64, bigEndian = false, type = 2, mark = '', sections = [] } = {}) {
  const wide = bits === 64;
  const header = Buffer.alloc(wide ? 64 : 52);
  const segment = Buffer.alloc(wide ? 56 : 32);
  const { u16, u32, word } = writers(bigEndian, wide);
  const tail = Buffer.from(mark, 'latin1');
  const start = header.length + segment.length + tail.length;
  header.write('\x7fELF', 'latin1');
  header[4] = wide ? 2 : 1;
  header[5] = bigEndian ? 2 : 1;
  u16(header, 16, type);
  word(header, wide ? 32 : 28, header.length);
  u16(header, wide ? 54 : 42, segment.length);
  u16(header, wide ? 56 : 44, 1);
  u32(segment, 0, 1);
  u32(segment, wide ? 4 : 24, 5);
  word(segment, wide ? 8 : 4, start);
  word(segment, wide ? 32 : 16, content.length);

  const names = Buffer.from(['', ...sections, ''].join('\0'), 'latin1');
  const entrySize = wide ? 64 : 40;
  const table = Buffer.alloc(entrySize * (sections.length + 1));
  const namesAt = start + content.length;
  sections.forEach((name, index) => {
    u32(table, entrySize * (index + 1), names.indexOf(`\0${name}\0`, 0, 'latin1') + 1);
  });
  // The first entry stands for the names as well.
  word(table, wide ? 24 : 16, namesAt);
  word(header, wide ? 40 : 32, namesAt + names.length);
  u16(header, wide ? 58 : 46, entrySize);
  u16(header, wide ? 60 : 48, sections.length + 1);
  return Buffer.concat([header, segment, tail, content, names, table]);
}

/**
 * A PE program with one section for each name; the first is executable.
 *
 * @param {Buffer} content
 * @param {{ names?: string[], subsystem?: number, count?: number }} options
 */
export function pe(content, { names = ['.text'], subsystem = 3, count = names.length } = {}) {
  const { u16, u32 } = writers(false, false);
  const dos = Buffer.alloc(0x40);
  dos.write('MZ', 'latin1');
  u32(dos, 0x3c, dos.length);
  const headers = Buffer.alloc(24 + 96);
  headers.write('PE\0\0', 'latin1');
  u16(headers, 6, count);
  u16(headers, 20, 96);
  u16(headers, 24 + 68, subsystem);
  const table = Buffer.alloc(40 * names.length);
  const start = dos.length + headers.length + table.length;
  names.forEach((name, index) => {
    const at = 40 * index;
    table.write(name.slice(0, 8), at, 'latin1');
    u32(table, at + 16, content.length);
    u32(table, at + 20, start);
    u32(table, at + 36, index === 0 ? 0x6000_0020 : 0x4000_0040);
  });
  return Buffer.concat([dos, headers, table, content]);
}

/**
 * @param {boolean} bigEndian
 * @param {boolean} wide
 */
function writers(bigEndian, wide) {
  /** @typedef {(to: Buffer, at: number, value: number) => void} Write */
  /** @type {Write} */
  const u16 = (to, at, value) => void (bigEndian ? to.writeUInt16BE(value, at) : to.writeUInt16LE(value, at));
  /** @type {Write} */
  const u32 = (to, at, value) => void (bigEndian ? to.writeUInt32BE(value, at) : to.writeUInt32LE(value, at));
  /** @type {Write} */
  const u64 = (to, at, value) =>
    void (bigEndian ? to.writeBigUInt64BE(BigInt(value), at) : to.writeBigUInt64LE(BigInt(value), at));
  return { u16, u32, word: wide ? u64 : u32 };
}

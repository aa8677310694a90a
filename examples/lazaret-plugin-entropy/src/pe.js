/**
 * PE, the format of programs on Windows: a DOS header that leads to `PE\0\0`, the COFF header, an optional header
 * that every program has, and a table of sections. Everything is little-endian.
 * Source: https://learn.microsoft.com/en-us/windows/win32/debug/pe-format
 */
import { Bytes } from './bytes.js';
import { regionWithin } from './program.js';

const DOS_MAGIC = 0x5a4d;
const PE_MAGIC = 0x0000_4550;
const PE_OFFSET_AT = 0x3c;
/** From `PE\0\0` on. */
const COFF = { sectionCount: 6, optionalSize: 20, optional: 24 };
const SUBSYSTEM_AT = 68;
const SECTION = { name: 0, size: 16, offset: 20, flags: 36, length: 40 };
const NAME_LENGTH = 8;
const MEM_EXECUTE = 0x2000_0000;
const MAX_SECTIONS = 1_024;
/** Programs of the firmware. A Linux kernel is one of them, and compressed, and no operating system runs it. */
const EFI_SUBSYSTEMS = new Set([10, 11, 12, 13]);

/**
 * The program that a file is; undefined when it is no PE program that an operating system runs. As much of it as the
 * file has.
 *
 * @param {Buffer} file
 * @returns {import('./program.js').Program | undefined}
 */
export function readPe(file) {
  const bytes = new Bytes(file, true);
  const start = bytes.u16(0) === DOS_MAGIC ? bytes.u32(PE_OFFSET_AT) : undefined;
  if (start === undefined || bytes.u32(start) !== PE_MAGIC) return undefined;
  const optional = start + COFF.optional;
  if (EFI_SUBSYSTEMS.has(bytes.u16(optional + SUBSYSTEM_AT) ?? 0)) return undefined;
  const table = optional + (bytes.u16(start + COFF.optionalSize) ?? 0);
  const count = Math.min(bytes.u16(start + COFF.sectionCount) ?? 0, MAX_SECTIONS);
  const sections = Array.from({ length: count }, (_, index) => {
    const at = table + index * SECTION.length;
    return {
      name: bytes.text(at + SECTION.name, NAME_LENGTH),
      offset: bytes.u32(at + SECTION.offset),
      size: bytes.u32(at + SECTION.size),
      executable: ((bytes.u32(at + SECTION.flags) ?? 0) & MEM_EXECUTE) !== 0,
    };
  });
  return {
    regions: sections
      .map((section) => regionWithin(section, file.length))
      .filter((region) => region !== undefined),
    sections: sections.map(({ name }) => name),
  };
}

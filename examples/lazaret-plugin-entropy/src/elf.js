/**
 * ELF, the format of programs on Linux: a header, a table of segments (what the kernel maps) and a table of sections
 * (what linkers and debuggers read, and packers throw away). Class says 32 or 64 bits, data which byte comes first.
 * Source: elf(5), https://gabi.xinuos.com
 */
import { Bytes } from './bytes.js';
import { regionWithin } from './program.js';

const MAGIC = Buffer.from('\x7fELF', 'latin1');
const CLASS_AT = 4;
const DATA_AT = 5;
const ET_EXEC = 2;
const ET_DYN = 3;
const PT_LOAD = 1;
const PF_X = 1;
/** The kernel takes no table of segments that is larger. */
const MAX_SEGMENT_TABLE = 65_536;
const MAX_SECTIONS = 1_024;
const MAX_NAME = 32;

/** Where fields are, by class. A word is 4 or 8 bytes. */
const LAYOUTS = {
  1: {
    word: /** @type {const} */ ('u32'),
    header: {
      segments: 28,
      sections: 32,
      segmentSize: 42,
      segmentCount: 44,
      sectionSize: 46,
      sectionCount: 48,
      names: 50,
    },
    segment: { type: 0, flags: 24, offset: 4, size: 16, length: 32 },
    section: { name: 0, offset: 16, length: 40 },
  },
  2: {
    word: /** @type {const} */ ('u64'),
    header: {
      segments: 32,
      sections: 40,
      segmentSize: 54,
      segmentCount: 56,
      sectionSize: 58,
      sectionCount: 60,
      names: 62,
    },
    segment: { type: 0, flags: 4, offset: 8, size: 32, length: 56 },
    section: { name: 0, offset: 24, length: 64 },
  },
};
/** @typedef {typeof LAYOUTS[1] | typeof LAYOUTS[2]} Layout */

/**
 * The program that a file is; undefined when it is no ELF program. As much of it as the file has.
 *
 * @param {Buffer} file
 * @returns {import('./program.js').Program | undefined}
 */
export function readElf(file) {
  if (!file.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const layout = LAYOUTS[/** @type {1 | 2} */ (file[CLASS_AT])];
  const data = file[DATA_AT];
  if (layout === undefined || (data !== 1 && data !== 2)) return undefined;
  const bytes = new Bytes(file, data === 1);
  const type = bytes.u16(16);
  if (type !== ET_EXEC && type !== ET_DYN) return undefined;
  return { regions: segmentsOf(bytes, layout), sections: sectionNamesOf(bytes, layout) };
}

/**
 * @param {Bytes} bytes
 * @param {Layout} layout
 */
function segmentsOf(bytes, { word, header, segment }) {
  const table = bytes[word](header.segments);
  const length = bytes.u16(header.segmentSize) ?? 0;
  const count = bytes.u16(header.segmentCount) ?? 0;
  // Another size of entries, or too many of them: the kernel does not run it.
  if (table === undefined || length !== segment.length || count * length > MAX_SEGMENT_TABLE) return [];
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * length;
    if (bytes.u32(at + segment.type) !== PT_LOAD) return undefined;
    const declared = {
      name: `segment ${index}`,
      offset: bytes[word](at + segment.offset),
      size: bytes[word](at + segment.size),
      executable: ((bytes.u32(at + segment.flags) ?? 0) & PF_X) !== 0,
    };
    return regionWithin(declared, bytes.buffer.length);
  }).filter((region) => region !== undefined);
}

/**
 * @param {Bytes} bytes
 * @param {Layout} layout
 */
function sectionNamesOf(bytes, { word, header, section }) {
  const table = bytes[word](header.sections);
  const length = bytes.u16(header.sectionSize) ?? 0;
  const count = Math.min(bytes.u16(header.sectionCount) ?? 0, MAX_SECTIONS);
  const namesIndex = bytes.u16(header.names) ?? 0;
  if (table === undefined || length !== section.length) return [];
  const names = bytes[word](table + namesIndex * length + section.offset);
  if (names === undefined) return [];
  return Array.from({ length: count }, (_, index) => {
    const name = bytes.u32(table + index * length + section.name);
    return name === undefined ? '' : bytes.text(names + name, MAX_NAME);
  });
}

/**
 * The headers of ELF programs, and nothing of their contents. A file begins with 16 bytes of identification
 * (magic, class 32 or 64 bits, byte order), then says where its program headers lie, by which the kernel loads
 * it, and its section headers, which only tools need. Source: elf(5), System V ABI chapter 4 and 5.
 *
 * What is read is bounded: the header, at most 64 KiB of program headers (as the kernel does), the interpreter's
 * name and the start of the file. Numbers are a guest's: all are checked against the file's size.
 */

/** A file that is read in pieces; a piece past its end comes back shorter. */
export interface Pieces {
  readonly size: number;
  read(offset: number, length: number): Promise<Buffer>;
}

export interface Segment {
  readonly isLoaded: boolean;
  readonly isWritable: boolean;
  readonly isExecutable: boolean;
}

/** A program or a shared object. */
export interface Elf {
  /** Class and byte order are such as there are. Where they are not, nothing else is known. */
  readonly isIdentified: boolean;
  readonly segments: readonly Segment[];
  /** The name of the program interpreter, as bytes in Latin-1. */
  readonly interpreter?: string;
  readonly hasSections: boolean;
  /** UPX has left its mark. */
  readonly isUpx: boolean;
}

const MAGIC = Buffer.from('\x7fELF', 'latin1');
const HEADER = 64;
export const SMALLEST = 52;
const PROGRAM_HEADERS = 64 * 1024;
/** PATH_MAX. */
const INTERPRETER = 4096;
const START = 4096;
const TYPES = new Set([2, 3]);
/** i386, ARM, x86-64, AArch64: kernels of these look neither at class nor at byte order. */
const MACHINES = new Set([3, 40, 62, 183]);
const LOAD = 1;
const INTERP = 3;
const [EXECUTE, WRITE] = [1, 2];

/** Undefined for what is no ELF program, and for one that no kernel would load. Rejects as `read` does. */
export async function readElf(file: Pieces): Promise<Elf | undefined> {
  const start = await file.read(0, START);
  if (start.length < SMALLEST || !start.subarray(0, 4).equals(MAGIC)) return undefined;
  // Nearly always all of it is in the start.
  const within = async (offset: number, length: number): Promise<Buffer> => {
    if (offset + length <= start.length) return start.subarray(offset, offset + length);
    return offset < file.size ? file.read(offset, length) : Buffer.alloc(0);
  };
  const [wordSize, order] = [start[4], start[5]];
  if (wordSize !== 1 && wordSize !== 2) return unidentified(start);
  if (order !== 1 && order !== 2) return unidentified(start);
  const header = new Fields(start, wordSize === 2, order === 1);
  if (start.length < header.size || !TYPES.has(header.u16(16))) return undefined;
  const { offset, entry, count } = header.programHeaders();
  if (entry !== header.programHeaderSize || entry * count > PROGRAM_HEADERS) return undefined;
  const table = new Fields(await within(offset, entry * count), header.is64, header.isLittle);
  if (table.bytes.length < entry * count) return undefined;
  const segments = Array.from({ length: count }, (_, index) => table.segment(index * entry));
  const named = segments.find(({ type }) => type === INTERP);
  const interpreter =
    named && interpreterOf(await within(named.offset, Math.min(named.fileSize, INTERPRETER)));
  return {
    isIdentified: true,
    segments: segments.map(({ isLoaded, isWritable, isExecutable }) => ({
      isLoaded,
      isWritable,
      isExecutable,
    })),
    ...(interpreter !== undefined && { interpreter }),
    hasSections: header.hasSections(file.size),
    isUpx: isUpx(start, offset + entry * count),
  };
}

/** Class or byte order is none that there is: tools refuse such a file, and some kernels run it all the same. */
function unidentified(start: Buffer): Elf | undefined {
  if (!TYPES.has(start.readUInt16LE(16)) || !MACHINES.has(start.readUInt16LE(18))) return undefined;
  return { isIdentified: false, segments: [], hasSections: false, isUpx: false };
}

function interpreterOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

/** Behind the program headers UPX puts a checksum, then its name (`l_info` in its sources). */
const isUpx = (start: Buffer, end: number): boolean =>
  start.toString('latin1', Math.min(end, START), Math.min(end + 64, START)).includes('UPX!');

/** Fields in a file's own word size and byte order. */
class Fields {
  readonly bytes: Buffer;
  readonly is64: boolean;
  readonly isLittle: boolean;

  constructor(bytes: Buffer, is64: boolean, isLittle: boolean) {
    this.bytes = bytes;
    this.is64 = is64;
    this.isLittle = isLittle;
  }

  get size(): number {
    return this.is64 ? HEADER : SMALLEST;
  }

  get programHeaderSize(): number {
    return this.is64 ? 56 : 32;
  }

  u16(at: number): number {
    return this.isLittle ? this.bytes.readUInt16LE(at) : this.bytes.readUInt16BE(at);
  }

  u32(at: number): number {
    return this.isLittle ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  /** An address or offset. Past 2^53 it is rounded, and past the end of every file. */
  word(at: number): number {
    if (!this.is64) return this.u32(at);
    return Number(this.isLittle ? this.bytes.readBigUInt64LE(at) : this.bytes.readBigUInt64BE(at));
  }

  programHeaders() {
    const at = this.is64 ? 54 : 42;
    return { offset: this.word(this.is64 ? 32 : 28), entry: this.u16(at), count: this.u16(at + 2) };
  }

  /** The section headers lie within the file. With none counted, the first of them says how many there are. */
  hasSections(fileSize: number): boolean {
    const offset = this.word(this.is64 ? 40 : 32);
    const at = this.is64 ? 58 : 46;
    const [entry, count] = [this.u16(at), this.u16(at + 2)];
    return offset > 0 && entry > 0 && offset + entry * Math.max(1, count) <= fileSize;
  }

  segment(at: number) {
    const type = this.u32(at);
    const flags = this.u32(at + (this.is64 ? 4 : 24));
    return {
      type,
      offset: this.word(at + (this.is64 ? 8 : 4)),
      fileSize: this.word(at + (this.is64 ? 32 : 16)),
      isLoaded: type === LOAD,
      isWritable: (flags & WRITE) !== 0,
      isExecutable: (flags & EXECUTE) !== 0,
    };
  }
}

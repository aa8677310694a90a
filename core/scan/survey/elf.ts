/**
 * What an ELF program or library is loaded with. Program headers tell where the dynamic section lies: pairs of a tag
 * and a value, among them the names of the libraries that it needs, as offsets into a table of strings whose address
 * is mapped to a place in the file by the segments that are loaded. Source: elf(5), System V ABI chapter 5.
 *
 * All of it is a guest's word, so what is read is bounded: 64 KiB of program headers (as kernels do) and as much of
 * the dynamic section, 512 libraries, names as long as file names. What is out of bounds or does not add up is left
 * out, and the rest counts.
 */

/** Needs of one program or library; strings hold one character a byte. */
export interface Needs {
  /** The program by which the kernel loads it. */
  readonly interpreter?: string;
  /** Names of libraries, or paths where they have a slash. */
  readonly libraries: readonly string[];
  /** Directories in which they are looked for first. `$ORIGIN` and its like are not resolved. */
  readonly directories: readonly string[];
}

/** [offset, bytes]. */
export type Piece = readonly [number, number];
/** Pieces of a file, in their order; what lies past its end is left out. */
export type ReadPieces = (pieces: readonly Piece[]) => Promise<readonly Buffer[]>;

const MAGIC = Buffer.from('\x7fELF', 'latin1');
const START_BYTES = 4096;
const TABLE_BYTES = 64 * 1024;
const PATH_BYTES = 4096;
const NAME_BYTES = 256;
const SEARCH_BYTES = 16 * 1024;
const MOST_LIBRARIES = 512;
const MOST_DIRECTORIES = 256;
const TYPES = new Set([2, 3]);
/** Program headers. */
const [LOAD, DYNAMIC, INTERPRETER] = [1, 2, 3];
/** Tags of the dynamic section. */
const TAG = { end: 0, needed: 1, strings: 5, rpath: 15, runpath: 29 };

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly bytes: number;
}

/** Undefined for what no kernel or loader would load. Rejects as `read` does. */
export async function readNeeds(read: ReadPieces): Promise<Needs | undefined> {
  const [start = NOTHING] = await read([[0, START_BYTES]]);
  const fields = fieldsOf(start);
  if (!fields) return undefined;
  const { offset, entry, count } = fields.programHeaders();
  if (entry !== fields.programHeaderBytes || entry * count > TABLE_BYTES) return undefined;
  const table = await tableOf(read, start, [offset, entry * count]);
  const headers = fields.of(table);
  const segments = Array.from({ length: Math.floor(table.length / entry) }, (_, at) =>
    headers.segment(at * entry),
  );
  const [interpreter = NOTHING, dynamic = NOTHING] = await readSome(read, [
    pieceOf(segments, INTERPRETER, PATH_BYTES),
    pieceOf(segments, DYNAMIC, TABLE_BYTES),
  ]);
  const name = stringIn(interpreter);
  const linked = await readDynamic(read, fields.of(dynamic), segments);
  return { ...linked, ...(name !== undefined && { interpreter: name }) };
}

const NOTHING = Buffer.alloc(0);

function fieldsOf(start: Buffer): Fields | undefined {
  if (start.length < 64 || !start.subarray(0, 4).equals(MAGIC)) return undefined;
  const [words, order] = [start[4] as number, start[5] as number];
  if (![1, 2].includes(words) || ![1, 2].includes(order)) return undefined;
  const fields = new Fields(start, words === 2, order === 1);
  return TYPES.has(fields.u16(16)) ? fields : undefined;
}

async function tableOf(read: ReadPieces, start: Buffer, [offset, bytes]: Piece): Promise<Buffer> {
  if (bytes === 0) return NOTHING;
  if (offset + bytes <= start.length) return start.subarray(offset, offset + bytes);
  return (await readSome(read, [[offset, bytes]]))[0] ?? NOTHING;
}

/** Pieces that cannot be asked for, or of no bytes, are empty. */
async function readSome(
  read: ReadPieces,
  pieces: readonly (Piece | undefined)[],
): Promise<readonly Buffer[]> {
  const isSound = (piece: Piece | undefined): piece is Piece =>
    piece !== undefined && Number.isSafeInteger(piece[0]) && piece[0] < FARTHEST && piece[1] > 0;
  const sound = pieces.filter(isSound);
  const given = sound.length > 0 ? await read(sound) : [];
  let next = 0;
  return pieces.map((piece) => (isSound(piece) ? (given[next++] ?? NOTHING) : NOTHING));
}

/** No file is longer. */
const FARTHEST = 2 ** 52;

function pieceOf(segments: readonly Segment[], type: number, most: number): Piece | undefined {
  const segment = segments.find((one) => one.type === type);
  return segment && [segment.offset, Math.min(segment.bytes, most)];
}

async function readDynamic(
  read: ReadPieces,
  section: Fields,
  segments: readonly Segment[],
): Promise<Pick<Needs, 'libraries' | 'directories'>> {
  const needed: number[] = [];
  const search: number[] = [];
  let strings = Number.NaN;
  for (const { tag, value } of section.dynamicEntries()) {
    if (tag === TAG.end) break;
    if (tag === TAG.strings) strings = value;
    else if (tag === TAG.needed && needed.length < MOST_LIBRARIES) needed.push(value);
    else if ((tag === TAG.rpath || tag === TAG.runpath) && search.length < 2) search.push(value);
  }
  const at = (value: number, bytes: number): Piece => [offsetOf(segments, strings) + value, bytes];
  const texts = await readSome(read, [
    ...needed.map((value) => at(value, NAME_BYTES)),
    ...search.map((value) => at(value, SEARCH_BYTES)),
  ]);
  const [names, paths] = [texts.slice(0, needed.length), texts.slice(needed.length)].map((some) =>
    some.map(stringIn).filter((text) => text !== undefined),
  );
  return {
    libraries: [...new Set(names)],
    directories: [...new Set(paths?.flatMap((path) => path.split(':')))]
      .filter((path) => path !== '')
      .slice(0, MOST_DIRECTORIES),
  };
}

/** Where in the file that lies which is loaded at an address; NaN when nothing is. */
function offsetOf(segments: readonly Segment[], address: number): number {
  const holder = segments.find(
    (one) => one.type === LOAD && address >= one.address && address < one.address + one.bytes,
  );
  return holder ? holder.offset + (address - holder.address) : Number.NaN;
}

/** Undefined for one that is empty or does not end. */
function stringIn(bytes: Buffer): string | undefined {
  const end = bytes.indexOf(0);
  return end > 0 ? bytes.toString('latin1', 0, end) : undefined;
}

/** Fields in a file's own word size and byte order. */
class Fields {
  private readonly bytes: Buffer;
  private readonly is64: boolean;
  private readonly isLittle: boolean;

  constructor(bytes: Buffer, is64: boolean, isLittle: boolean) {
    this.bytes = bytes;
    this.is64 = is64;
    this.isLittle = isLittle;
  }

  /** Other bytes of the same file. */
  of(bytes: Buffer): Fields {
    return new Fields(bytes, this.is64, this.isLittle);
  }

  get programHeaderBytes(): number {
    return this.is64 ? 56 : 32;
  }

  u16(at: number): number {
    return this.isLittle ? this.bytes.readUInt16LE(at) : this.bytes.readUInt16BE(at);
  }

  programHeaders() {
    const at = this.is64 ? 54 : 42;
    return { offset: this.word(this.is64 ? 32 : 28), entry: this.u16(at), count: this.u16(at + 2) };
  }

  segment(at: number): Segment {
    const places = this.is64 ? { offset: 8, address: 16, bytes: 32 } : { offset: 4, address: 8, bytes: 16 };
    return {
      type: this.u32(at),
      offset: this.word(at + places.offset),
      address: this.word(at + places.address),
      bytes: this.word(at + places.bytes),
    };
  }

  *dynamicEntries() {
    const word = this.is64 ? 8 : 4;
    for (let at = 0; at + 2 * word <= this.bytes.length; at += 2 * word) {
      yield { tag: this.word(at), value: this.word(at + word) };
    }
  }

  private u32(at: number): number {
    return this.isLittle ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  /** An address or offset. Past 2^53 it is rounded, and past the end of every file. */
  private word(at: number): number {
    if (!this.is64) return this.u32(at);
    return Number(this.isLittle ? this.bytes.readBigUInt64LE(at) : this.bytes.readBigUInt64BE(at));
  }
}

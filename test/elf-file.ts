/** ELF files of headers and a dynamic section alone, as tests want them; no machine runs them. */

export interface ElfSketch {
  readonly is64?: boolean;
  readonly isLittle?: boolean;
  readonly interpreter?: string;
  /** Names of libraries. */
  readonly needs?: readonly string[];
  readonly rpath?: string;
  readonly runpath?: string;
  /** Behind all else. */
  readonly tail?: string;
}

const BASE = 0x40_0000;
const [LOAD, DYNAMIC, INTERPRETER] = [1, 2, 3];
const TAG = { needed: 1, strings: 5, stringBytes: 10, rpath: 15, runpath: 29 };

/** Writes numbers in one word size and byte order. */
class Writer {
  readonly is64: boolean;
  private readonly isLittle: boolean;
  private readonly parts: Buffer[] = [];

  constructor(is64: boolean, isLittle: boolean) {
    this.is64 = is64;
    this.isLittle = isLittle;
  }

  number(bytes: 2 | 4 | 8, value: number): this {
    const part = Buffer.alloc(bytes);
    this.fill(part, BigInt(value));
    this.parts.push(part);
    return this;
  }

  words(...values: number[]): this {
    for (const value of values) this.number(this.is64 ? 8 : 4, value);
    return this;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }

  private fill(part: Buffer, value: bigint): void {
    for (let at = 0; at < part.length; at++) {
      part[this.isLittle ? at : part.length - 1 - at] = Number((value >> BigInt(8 * at)) & 0xffn);
    }
  }
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly bytes: number;
}

export function elfFile(sketch: ElfSketch = {}): Buffer {
  const { is64 = true, isLittle = true, interpreter = '', tail = '' } = sketch;
  const writer = () => new Writer(is64, isLittle);
  const names = Buffer.from(`${interpreter}\0`, 'latin1');
  const { strings, entries } = dynamicOf(sketch);
  const dynamicBytes = (entries.length + 3) * 2 * (is64 ? 8 : 4);
  const [headerBytes, entryBytes] = is64 ? [64, 56] : [52, 32];
  const dynamicAt = headerBytes + 3 * entryBytes;
  const stringsAt = dynamicAt + dynamicBytes;
  const namesAt = stringsAt + strings.length;
  const dynamic = writer();
  for (const [tag, value] of [
    ...entries,
    [TAG.strings, BASE + stringsAt],
    [TAG.stringBytes, strings.length],
    [0, 0],
  ]) {
    dynamic.words(tag as number, value as number);
  }
  const end = Math.max(namesAt + names.length, 64);
  const segments = [
    { type: LOAD, offset: 0, bytes: end },
    { type: interpreter === '' ? 0 : INTERPRETER, offset: namesAt, bytes: names.length },
    { type: DYNAMIC, offset: dynamicAt, bytes: dynamicBytes },
  ];
  const parts = [header(writer(), headerBytes, entryBytes, segments.length, isLittle)];
  for (const segment of segments) parts.push(segmentOf(writer(), segment));
  const whole = Buffer.concat([...parts, dynamic.bytes, strings, names]);
  return Buffer.concat([whole, Buffer.alloc(end - whole.length), Buffer.from(tail)]);
}

function dynamicOf({ needs = [], rpath, runpath }: ElfSketch) {
  const texts = [
    ...needs.map((name) => [TAG.needed, name] as const),
    ...(rpath === undefined ? [] : [[TAG.rpath, rpath] as const]),
    ...(runpath === undefined ? [] : [[TAG.runpath, runpath] as const]),
  ];
  let strings = Buffer.from('\0');
  const entries: [number, number][] = [];
  for (const [tag, text] of texts) {
    entries.push([tag, strings.length]);
    strings = Buffer.concat([strings, Buffer.from(`${text}\0`, 'latin1')]);
  }
  return { strings, entries };
}

function header(writer: Writer, bytes: number, entry: number, count: number, isLittle: boolean): Buffer {
  const identification = Buffer.alloc(16);
  identification.write('\x7fELF', 0, 'latin1');
  identification.set([writer.is64 ? 2 : 1, isLittle ? 1 : 2, 1], 4);
  // Type (shared object), machine, version; then where what is: the program headers stand behind this one.
  writer.number(2, 3).number(2, 62).number(4, 1).words(0, bytes, 0).number(4, 0);
  writer.number(2, bytes).number(2, entry).number(2, count).number(2, 0).number(2, 0).number(2, 0);
  return Buffer.concat([identification, writer.bytes]);
}

function segmentOf(writer: Writer, { type, offset, bytes }: Segment): Buffer {
  const READABLE = 4;
  writer.number(4, type);
  if (writer.is64) writer.number(4, READABLE);
  writer.words(offset, BASE + offset, BASE + offset, bytes, bytes);
  if (!writer.is64) writer.number(4, READABLE);
  return writer.words(1).bytes;
}

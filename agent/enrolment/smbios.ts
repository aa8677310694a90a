/**
 * SMBIOS structures (DMTF DSP0134, section 6.1), as far as OEM strings need them:
 *
 *   0  type      11: OEM strings (7.12)          127: the end of the table
 *   1  length    of the formatted area, these four bytes included
 *   2  handle    16 bits
 *   4  count     (type 11) how many strings there are
 *
 * Behind the formatted area stand the structure's strings, each ended by a zero byte, and one more zero byte ends them
 * all; where there is none, two zero bytes. Linux shows each structure as `/sys/firmware/dmi/entries/TYPE-N/raw`, and
 * all of them, one behind the other, as `/sys/firmware/dmi/tables/DMI`. Only root may read them. What they hold comes
 * from the hypervisor, and is checked all the same.
 */

const OEM_STRINGS = 11;
const END_OF_TABLE = 127;
const HEADER_BYTES = 4;
const COUNT_AT = 4;
const NO_STRINGS = Buffer.from([0, 0]);

/** One structure: its formatted area, and its strings as bytes without their zeros. */
export interface SmbiosStructure {
  readonly type: number;
  readonly formatted: Buffer;
  readonly strings: readonly Buffer[];
  /** Bytes that it takes in all. */
  readonly size: number;
}

/** The structure that `untrusted` begins with; undefined when it is cut short or is none. */
export function readStructure(untrusted: Buffer): SmbiosStructure | undefined {
  const [type, length] = untrusted;
  if (type === undefined || length === undefined) return undefined;
  if (length < HEADER_BYTES || untrusted.length < length + NO_STRINGS.length) return undefined;
  const formatted = untrusted.subarray(0, length);
  const end = untrusted.indexOf(NO_STRINGS, length);
  if (end < 0) return undefined;
  return { type, formatted, strings: split(untrusted.subarray(length, end)), size: end + NO_STRINGS.length };
}

/** The structures of a whole table, up to its end or to what is none. */
export function* readTable(untrusted: Buffer): Generator<SmbiosStructure> {
  for (let at = 0; at < untrusted.length; ) {
    const structure = readStructure(untrusted.subarray(at));
    if (!structure || structure.type === END_OF_TABLE) return;
    yield structure;
    at += structure.size;
  }
}

/** The strings of a structure of type 11, as many as it says; none of one of another type. */
export function oemStrings({ type, formatted, strings }: SmbiosStructure): readonly Buffer[] {
  return type === OEM_STRINGS ? strings.slice(0, formatted[COUNT_AT] ?? 0) : [];
}

/** Parts of `bytes` between zero bytes. */
function split(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  if (bytes.length === 0) return parts;
  let from = 0;
  for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, from)) {
    parts.push(bytes.subarray(from, at));
    from = at + 1;
  }
  parts.push(bytes.subarray(from));
  return parts;
}

/**
 * External variables that real rule sets use, as the scanners THOR and LOKI define them for each file
 * (https://github.com/Neo23x0/signature-base). All are strings:
 *
 *   filename   name without the path               filepath   path without the name
 *   extension  of the name, with its dot, in lower case; empty when it has none
 *   filetype   by the first bytes: EXE, ELF, ZIP … (`TYPES`); `UNKNOWN` otherwise
 *   owner      `root`, or `uid N`: only the guest knows the names of its users
 *   service    empty: a file is of no service here
 *
 * Names are as in `FileFacts.path`: bytes that cannot be printed as `\xNN`.
 */
import type { FileFacts } from 'lazaret/plugin';

export const EXTERNALS = ['filename', 'filepath', 'extension', 'filetype', 'owner', 'service'] as const;
export type External = (typeof EXTERNALS)[number];
export type Values = Readonly<Partial<Record<External, string>>>;
/** What the values depend on besides the content. */
export type NamingFacts = Pick<FileFacts, 'path' | 'uid'>;
/** Those that two files with one content may have different values of. */
export const NAMING: readonly External[] = ['filename', 'filepath', 'extension', 'owner'];

/** The first that fits, so longer ones stand before what they begin with. Bytes are Latin-1. */
const TYPES: readonly (readonly [type: string, magic: string])[] = [
  ['ELF', '\x7fELF'],
  ['EXE', 'MZ'],
  ['ZIP', 'PK\x03\x04'],
  ['PKZIP', 'PK\x05\x06'],
  ['PDF', '%PDF'],
  ['OLE', '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'],
  ['RTF', '{\\rt'],
  ['PHP', '<?php'],
  ['XML', '<?xm'],
  ['XML', '<?XM'],
  ['JSP', '<%'],
  ['UNIX SCRIPT', '#!/'],
  ['Script', '#!'],
  ['GIF', 'GIF8'],
  ['JPEG', '\xff\xd8\xff'],
  ['PNG', '\x89PNG'],
  ['GZIP', '\x1f\x8b\x08'],
  ['BZip2', 'BZh'],
  ['7Zip', "7z\xbc\xaf'\x1c"],
  ['RAR', 'Rar!\x1a\x07'],
  ['CAB', 'MSCF'],
  ['Class', '\xca\xfe\xba\xbe'],
  ['LNK', 'L\0\0\0\x01\x14\x02\0'],
  ['EVTX', 'ElfFil'],
  ['MDMP', 'MDMP'],
  ['Registry Hive', 'regf'],
  ['LIBPCAP', '\xd4\xc3\xb2\xa1'],
  ['LIBPCAP', '\xa1\xb2\xc3\xd4'],
];
const LONGEST_MAGIC = Math.max(...TYPES.map(([, magic]) => magic.length));

export function valuesOf(externals: readonly External[], facts: NamingFacts, head: Uint8Array): Values {
  const values: Partial<Record<External, string>> = {};
  for (const external of externals) values[external] = define(external, facts, head);
  return values;
}

function define(external: External, { path, uid }: NamingFacts, head: Uint8Array): string {
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  switch (external) {
    case 'filename':
      return name;
    case 'filepath':
      return slash === 0 ? '/' : path.slice(0, Math.max(slash, 0));
    case 'extension':
      return name.includes('.') ? name.slice(name.lastIndexOf('.')).toLowerCase() : '';
    case 'filetype':
      return typeOf(head);
    case 'owner':
      return uid === 0 ? 'root' : `uid ${uid}`;
    case 'service':
      return '';
  }
}

function typeOf(head: Uint8Array): string {
  const start = Buffer.from(head.subarray(0, LONGEST_MAGIC)).toString('latin1');
  return TYPES.find(([, magic]) => start.startsWith(magic))?.[0] ?? 'UNKNOWN';
}

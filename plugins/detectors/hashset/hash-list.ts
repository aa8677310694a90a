/**
 * Lists of hashes, in three forms. A hash is hexadecimal: 64 digits SHA-256, 40 SHA-1, 32 MD5. `#` begins a
 * comment line in each.
 *
 *   plain    `hash[ name]`, as `sha256sum` and its kin print it
 *   ClamAV   `hash:size:name[:…]`, the size in bytes or `*` for any; `.hdb`, `.hsb` and, for programs that are
 *            potentially unwanted, `.hdu`, `.hsu`: https://docs.clamav.net/manual/Signatures/HashSignatures.html
 *   CSV      fields in quotes or without, a line (which may be a comment) naming the columns; as MalwareBazaar
 *            exports it: https://bazaar.abuse.ch/export/
 *
 * A file's extension says which it is; where it does not, its first line that is no comment.
 */
import { extname } from 'node:path';
import type { DigestName, Judgement } from 'lazaret/plugin';
import { type Columns, columnsOf, parseRow } from './csv.ts';
import { LONGEST_LINE } from './lines.ts';

export interface ListedHash {
  readonly algorithm: DigestName;
  /** In either case. */
  readonly hash: string;
  readonly name?: string | undefined;
  /** In bytes; any when left out. */
  readonly size?: number | undefined;
}

type Format = 'plain' | 'clamav' | 'csv';

const FORMATS: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.hdb': 'clamav',
  '.hsb': 'clamav',
  '.hdu': 'clamav',
  '.hsu': 'clamav',
};
const UNWANTED = new Set(['.hdu', '.hsu']);
/** ClamAV's lists of what is known to be good have the same form. */
const ALLOWING = new Set(['.fp', '.sfp']);
const ALGORITHMS: Readonly<Record<number, DigestName>> = { 64: 'sha256', 40: 'sha1', 32: 'md5' };
/** The index holds no more; no file is that large. */
const SIZE_DIGITS = 12;

const extensionOf = (path: string): string => extname(path).toLowerCase();

export const judgementOf = (path: string): Judgement =>
  UNWANTED.has(extensionOf(path)) ? 'suspicious' : 'malicious';

export const isAllowList = (path: string): boolean => ALLOWING.has(extensionOf(path));

export function algorithmOf(hash: string): DigestName | undefined {
  return /^[0-9a-f]+$/i.test(hash) ? ALGORITHMS[hash.length] : undefined;
}

/** Reads the lines of one list, in their order. */
export class HashList {
  private format: Format | undefined;
  private columns: Columns | undefined;
  private begun = false;

  constructor(path: string) {
    this.format = FORMATS[extensionOf(path)];
  }

  /** What a line says, if it is not for people alone. */
  parse(text: string): ListedHash | 'nothing' | 'malformed' {
    if (text.length > LONGEST_LINE) return 'malformed';
    const line = text.trim();
    if (line === '') return 'nothing';
    if (line.startsWith('#')) {
      this.columns ??= columnsOf(line.slice(1));
      return 'nothing';
    }
    this.format ??= formatOf(line);
    if (this.format === 'plain') return parsePlain(line);
    if (this.format === 'clamav') return parseClamav(line);
    // Later rows are data, whatever is written in them.
    if (!this.begun) {
      this.begun = true;
      const named = columnsOf(line);
      this.columns ??= named;
      if (named !== undefined) return 'nothing';
    }
    return listed(...parseRow(line, this.columns));
  }
}

function formatOf(line: string): Format {
  if (/^[0-9a-f]+:/i.test(line)) return 'clamav';
  return /^"|^[^\s,]*,/.test(line) ? 'csv' : 'plain';
}

function parsePlain(line: string): ListedHash | 'malformed' {
  const end = line.search(/\s/);
  return end < 0 ? listed(line) : listed(line.slice(0, end), line.slice(end).trim());
}

function parseClamav(line: string): ListedHash | 'malformed' {
  const [hash = '', size = '', name] = line.split(':', 3);
  if (size === '*') return listed(hash, name);
  if (!/^\d+$/.test(size) || size.length > SIZE_DIGITS) return 'malformed';
  return listed(hash, name, Number(size));
}

function listed(hash: string, name?: string, size?: number): ListedHash | 'malformed' {
  const algorithm = algorithmOf(hash);
  return algorithm === undefined ? 'malformed' : { algorithm, hash, name: name || undefined, size };
}

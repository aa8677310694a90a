/**
 * Rows of a CSV list of hashes. MalwareBazaar's have a hash of each kind for the same file; one is enough, and
 * the SHA-256 is known of every file without being computed for the list's sake.
 */
export interface Columns {
  readonly hash: number;
  readonly name: number | undefined;
}

/** The first that there is. */
const HASHES = ['sha256_hash', 'sha256', 'sha1_hash', 'sha1', 'md5_hash', 'md5'];
const NAMES = ['signature', 'name'];
/** `first_seen_utc, sha256_hash, md5_hash, sha1_hash, reporter, file_name, file_type_guess, mime_type, signature, …` */
const NAME_AT_MALWARE_BAZAAR = 8;
const MOST_FIELDS = 64;
const FIELD = /\s*(?:"([^"]*(?:""[^"]*)*)"\s*|([^,]*))(?:,|$)/y;

/** The columns that a line names; none when it is no such line. */
export function columnsOf(line: string): Columns | undefined {
  const fields = fieldsOf(line, MOST_FIELDS).map((field) => field.toLowerCase());
  const hash = HASHES.map((name) => fields.indexOf(name)).find((at) => at >= 0);
  if (hash === undefined) return undefined;
  return { hash, name: NAMES.map((name) => fields.indexOf(name)).find((at) => at >= 0) };
}

/** Hash and name. Without named columns: the first hash; the name stands where MalwareBazaar has it, or in a short row behind the hash. */
export function parseRow(line: string, columns: Columns | undefined): [hash: string, name?: string] {
  const last = columns ? Math.max(columns.hash, columns.name ?? 0) : NAME_AT_MALWARE_BAZAAR;
  const fields = fieldsOf(line, last + 1);
  const hash = columns?.hash ?? fields.findIndex((field) => /^[0-9a-f]{32,64}$/i.test(field));
  const named = fields.length > NAME_AT_MALWARE_BAZAAR ? NAME_AT_MALWARE_BAZAAR : hash + 1;
  const name = fields[columns ? (columns.name ?? -1) : named];
  return name === undefined || /^(n\/a|null)?$/i.test(name)
    ? [fields[hash] ?? '']
    : [fields[hash] ?? '', name];
}

/** At most `most` of a row's fields, which bounds the work that a row can make. */
function fieldsOf(line: string, most: number): string[] {
  const fields: string[] = [];
  FIELD.lastIndex = 0;
  while (fields.length < most) {
    const match = FIELD.exec(line);
    if (match === null) return fields;
    const [whole, quoted, bare = ''] = match;
    fields.push(quoted === undefined ? bare.trim() : quoted.replaceAll('""', '"'));
    if (!whole.endsWith(',')) return fields;
  }
  return fields;
}

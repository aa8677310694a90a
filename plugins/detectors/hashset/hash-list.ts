/**
 * A hash list: one `hash[ name]` a line, the hash in hexadecimal (64 digits SHA-256, 40 SHA-1, 32 MD5), the
 * rest of the line its name; `#` begins a comment line. It is what `sha256sum` and its kin print.
 */
import type { DigestName, SignatureProblem } from 'lazaret/plugin';

export interface ListedHash {
  readonly algorithm: DigestName;
  /** Lower case. */
  readonly hash: string;
  readonly name?: string;
}

export interface HashList {
  readonly hashes: readonly ListedHash[];
  readonly problems: readonly SignatureProblem[];
}

const ALGORITHMS: Readonly<Record<number, DigestName>> = { 64: 'sha256', 40: 'sha1', 32: 'md5' };
const SHOWN = 80;

/** Reads one list; `file` is named in its problems. */
export function parseHashList(file: string, text: string): HashList {
  const hashes: ListedHash[] = [];
  const problems: SignatureProblem[] = [];
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const hash = parseLine(content);
    if (hash !== undefined) hashes.push(hash);
    else {
      const shown = JSON.stringify(content.slice(0, SHOWN));
      problems.push({
        file,
        line: index + 1,
        message: `is no SHA-256, SHA-1 or MD5 in hexadecimal: ${shown}`,
      });
    }
  }
  return { hashes, problems };
}

function parseLine(line: string): ListedHash | undefined {
  const [, hash = '', name] = /^([0-9a-f]+)(?:\s+(.+))?$/i.exec(line) ?? [];
  const algorithm = ALGORITHMS[hash.length];
  if (algorithm === undefined) return undefined;
  return { algorithm, hash: hash.toLowerCase(), ...(name === undefined ? {} : { name }) };
}

/**
 * What clamd answers: to SCAN and INSTREAM `LABEL: OK`, `LABEL: NAME FOUND` or `[LABEL: ]MESSAGE ERROR`, the
 * label being the path or `stream`; to VERSION `ClamAV ENGINE[/DATABASE/DATE]`. NAME may be followed by
 * `(MD5:SIZE)` (ExtendedDetectionInfo), and ends in `.UNOFFICIAL` when its signature is not in one of ClamAV's
 * own, signed databases.
 */
import { ClamdError } from './clamd-error.ts';

export type ScanAnswer =
  | { readonly told: 'ok' }
  | { readonly told: 'found'; readonly name: string; readonly unofficial: boolean }
  /** One of clamd's limits was exceeded (AlertExceedsMax): it has not seen all of the content. */
  | { readonly told: 'limit'; readonly name: string }
  /** clamd may not read the path, or does not see it. */
  | { readonly told: 'no-access'; readonly message: string }
  | { readonly told: 'error'; readonly message: string };

export interface Version {
  readonly engine: string;
  /** Number and date of ClamAV's own database; absent when only others are loaded. */
  readonly database?: { readonly version: string; readonly date: string };
}

const LIMIT = 'Heuristics.Limits.Exceeded';
const UNOFFICIAL = '.UNOFFICIAL';
const ACCESS = /^(File path check failure|lstat\(\) failed|Can't open file|Access denied|Can't access file)/i;
const STREAM_LIMIT = /size limit exceeded/i;
const STREAM_LIMIT_NAME = 'StreamMaxLength';

/** Throws ClamdError `nonsense`. */
export function parseScan(text: string, label: string): ScanAnswer {
  const prefix = `${label}: `;
  const own = text.startsWith(prefix);
  const rest = own ? text.slice(prefix.length) : text;
  if (own && rest === 'OK') return { told: 'ok' };
  const [, found] = /^(\S(?:.*\S)?) FOUND$/.exec(rest) ?? [];
  if (own && found !== undefined) return parseName(found);
  const [, message] = /^(.+) ERROR$/.exec(rest) ?? [];
  if (message === undefined) throw nonsense(text);
  if (ACCESS.test(message)) return { told: 'no-access', message };
  if (STREAM_LIMIT.test(message)) return { told: 'limit', name: STREAM_LIMIT_NAME };
  return { told: 'error', message };
}

function parseName(found: string): ScanAnswer {
  const plain = found.replace(/\([0-9a-f]{32}:\d+\)$/, '');
  if (plain.startsWith(LIMIT)) return { told: 'limit', name: plain };
  const unofficial = plain.endsWith(UNOFFICIAL);
  return { told: 'found', name: unofficial ? plain.slice(0, -UNOFFICIAL.length) : plain, unofficial };
}

/** Throws ClamdError `nonsense`. */
export function parseVersion(text: string): Version {
  const [, engine, version, date] = /^ClamAV ([^\s/]+)(?:\/(\d+)\/([^/\n]+))?$/.exec(text) ?? [];
  if (engine === undefined) throw nonsense(text);
  return { engine, ...(version !== undefined && date !== undefined && { database: { version, date } }) };
}

/** The most threads that clamd scans with, from its answer to STATS. */
export function parseThreads(text: string): number {
  const [, most] = /^THREADS: .*\bmax (\d+)/m.exec(text) ?? [];
  if (most === undefined || Number(most) < 1) throw nonsense(text);
  return Number(most);
}

const nonsense = (text: string): ClamdError =>
  new ClamdError('nonsense', `clamd gave no answer to what was asked: ${JSON.stringify(text.slice(0, 80))}`);

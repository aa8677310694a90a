/** clamd.conf(5): `Key Value` a line, `#` begins a comment. Sizes end in K, M or G; true is yes, true or 1. */
import { readFile } from 'node:fs/promises';

/** As much of a clamd's configuration as matters here, its defaults (1.4) where it says nothing. */
export interface ClamdConfig {
  readonly localSocket: string | undefined;
  readonly databaseDirectory: string;
  readonly maxThreads: number;
  readonly maxFileBytes: number;
  readonly maxScanBytes: number;
  readonly streamMaxBytes: number;
  readonly alertExceedsMax: boolean;
  /** Between two looks at the databases; undefined when it never looks. */
  readonly selfCheckSeconds: number | undefined;
}

const UNITS = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 } as const;
/** 0 means no limit, which clamd cuts at 2 GiB. */
const UNLIMITED = 2 ** 31 - 1;

/** Undefined when the file cannot be read. */
export async function readClamdConfig(path: string): Promise<ClamdConfig | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseClamdConfig(text);
}

export function parseClamdConfig(text: string): ClamdConfig {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^\s*(\w+)\s+(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) values.set(key, value.replace(/^"(.*)"$/, '$1'));
  }
  const selfCheck = Number(values.get('SelfCheck') ?? 600);
  return {
    localSocket: values.get('LocalSocket'),
    databaseDirectory: values.get('DatabaseDirectory') ?? '/var/lib/clamav',
    maxThreads: Number(values.get('MaxThreads') ?? 10),
    maxFileBytes: sizeOf(values.get('MaxFileSize') ?? '100M'),
    maxScanBytes: sizeOf(values.get('MaxScanSize') ?? '400M'),
    streamMaxBytes: sizeOf(values.get('StreamMaxLength') ?? '100M'),
    alertExceedsMax: /^(yes|true|1)$/i.test(values.get('AlertExceedsMax') ?? 'no'),
    selfCheckSeconds: selfCheck > 0 ? selfCheck : undefined,
  };
}

function sizeOf(text: string): number {
  const [, digits, unit] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return UNLIMITED;
  return Number(digits) * UNITS[unit.toUpperCase() as keyof typeof UNITS] || UNLIMITED;
}

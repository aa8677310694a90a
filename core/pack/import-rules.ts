/** Makes the source of a pack of an existing tree of YARA rules; licences come along. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LIMITS, readBounded } from './content.ts';
import { PackError } from './error.ts';
import { MANIFEST } from './manifest.ts';

const YEAR_MS = 365 * 24 * 3600 * 1000;
const RULES = /\.yara?$/i;
const LICENCE = /^(licen[cs]e|copying|notice)/i;

export interface ImportRequest {
  readonly rules: string;
  /** Must not exist yet. */
  readonly directory: string;
  readonly vendor: string;
  readonly id: string;
  readonly licence: string;
  readonly now: number;
}

/** How many rule files were taken. Throws PackError `not-found` when there is none. Tests are the vendor's to add. */
export async function importRules(request: ImportRequest): Promise<number> {
  const { rules, directory, vendor, id, licence, now } = request;
  const names = (await readdir(rules, { recursive: true })).sort();
  const taken = names.filter((name) => RULES.test(name) || LICENCE.test(basename(name)));
  const count = taken.filter((name) => RULES.test(name)).length;
  if (count === 0) throw new PackError('not-found', `there are no *.yar or *.yara below ${rules}`);
  await mkdir(directory);
  for (const name of taken) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), await readBounded(join(rules, name), LIMITS.content));
  }
  const manifest = {
    schema: 1,
    vendor,
    id,
    version: '1',
    serial: 1,
    created: new Date(now).toISOString(),
    expires: new Date(now + YEAR_MS).toISOString(),
    licence,
    provenance: `imported from the rule tree ${basename(rules)}`,
    api: { minimum: 1, maximum: 1 },
    files: taken.map((path) => ({ path, type: RULES.test(path) ? 'yara' : 'text' })),
  };
  await writeFile(join(directory, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return count;
}

/** Makes the source of a pack of an existing tree of YARA rules; licences come along. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { walkFiles } from '../api/index.ts';
import { LIMITS, readBounded } from './content.ts';
import { PackError } from './error.ts';
import { isPackPath, MANIFEST, parseDraft } from './manifest.ts';

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

/**
 * How many rule files were taken. Throws PackError: `not-found` when there is none, `bad-manifest` for names that no
 * pack can have, `unreadable`. Tests are the vendor's to add.
 */
export async function importRules(request: ImportRequest): Promise<number> {
  const { rules, directory } = request;
  const taken = await namesIn(rules);
  const count = taken.filter((name) => RULES.test(name)).length;
  if (count === 0) throw new PackError('not-found', `there are no *.yar or *.yara below ${rules}`);
  const stray = taken.find((name) => !isPackPath(name));
  if (stray !== undefined) throw unfit(stray);
  const manifest = Buffer.from(`${JSON.stringify(draftOf(request, taken), undefined, 2)}\n`);
  parseDraft(manifest);
  await mkdir(directory).catch(cannotMake);
  for (const name of taken) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), await readBounded(join(rules, name), LIMITS.content));
  }
  await writeFile(join(directory, MANIFEST), manifest);
  return count;
}

/** What is signed is the tree itself: a link in it would stand for something that changes elsewhere. */
async function namesIn(rules: string): Promise<readonly string[]> {
  const wants = (name: string): boolean => RULES.test(name) || LICENCE.test(basename(name));
  const { files, problems } = await walkFiles(rules, { wants, links: 'refuse' }).catch(cannotRead);
  const [problem] = problems;
  if (problem) throw new PackError('unreadable', `${problem.file} ${problem.message}`);
  return files.map(({ name }) => name);
}

function draftOf({ rules, vendor, id, licence, now }: ImportRequest, paths: readonly string[]) {
  return {
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
    files: paths.map((path) => ({ path, type: RULES.test(path) ? 'yara' : 'text' })),
  };
}

const unfit = (name: string): PackError =>
  new PackError(
    'bad-manifest',
    `${JSON.stringify(name)} cannot be the name of a file in a pack: rename it with letters, digits and "._+@ -"`,
  );

function cannotRead(cause: Error): never {
  throw new PackError('unreadable', `the rules cannot be read: ${cause.message}`, { cause });
}

function cannotMake(cause: Error): never {
  const message = `the directory for the pack cannot be made: ${cause.message}: name one that is not there yet`;
  throw new PackError('unreadable', message, { cause });
}

/**
 * A third-party package as its package.json describes it. It is read and judged without running anything of it:
 * who may write its files, whether its entry lies inside it, and whether this host has the API it was made for.
 */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, realpathSync, type Stats } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';
import { INSTRUCTION_NAMES } from '../../protocol/index.ts';
import { API_VERSION, PluginError, SIGNATURE_TYPES } from '../api/index.ts';
import { wantsSchema } from './wants.ts';

const OTHERS_WRITE = 0o002;
/** A package larger than this is none that a person has looked at. */
const MAX_FILES = 10_000;

const manifestSchema = z.object({
  name: z.string().regex(/^(@[a-z0-9._-]+\/)?lazaret-plugin-[a-z][a-z0-9-]*$/),
  version: z.string().regex(/^[0-9A-Za-z.+-]{1,64}$/),
  description: z.string().max(400).default(''),
  lazaret: z.strictObject({
    kind: z.literal('detector', {
      error:
        'expected "detector": remediations and patches are built in, as they decide what is done to guests',
    }),
    api: z.int(),
    entry: z.string().min(1).max(256),
    id: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
    requires: z.array(z.enum(INSTRUCTION_NAMES)).default([]),
    signatures: z.array(z.enum(SIGNATURE_TYPES)).optional(),
    wants: wantsSchema.prefault({}),
  }),
});

export type Manifest = z.output<typeof manifestSchema>['lazaret'];

/** A package that may be started. */
export interface FoundPackage {
  /** The package's directory and its entry, without symbolic links. */
  readonly directory: string;
  readonly entry: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly manifest: Manifest;
  /** SHA-256 over the names and contents of its files. */
  readonly digest: string;
}

/** Reads the package in `directory`. Throws PluginError `bad-package` or `unsupported-api`. */
export function readPackage(directory: string): FoundPackage {
  const real = within(directory, () => realpathSync(directory));
  const described = within(directory, () => JSON.parse(readFileSync(join(real, 'package.json'), 'utf8')));
  const result = manifestSchema.safeParse(described);
  if (!result.success) {
    throw refused(directory, `package.json is not that of a plugin:\n${z.prettifyError(result.error)}`);
  }
  const { name, version, description, lazaret: manifest } = result.data;
  if (manifest.api !== API_VERSION) {
    const complaint = `the plugin ${manifest.id} is made for version ${manifest.api} of the plugin API, this host has ${API_VERSION}: install a release of it that fits`;
    throw new PluginError('unsupported-api', complaint);
  }
  const digest = within(directory, () => digestOf(real));
  const entry = within(directory, () => realpathSync(join(real, manifest.entry)));
  if (!inside(real, entry)) throw refused(directory, `its entry ${manifest.entry} lies outside of it`);
  return { directory: real, entry, name, version, description, manifest, digest };
}

/** Throws PluginError `bad-package` unless only we or root can change what lies in the directory. */
export function checkOwner(path: string, { uid, mode }: Pick<Stats, 'uid' | 'mode'> = lstatSync(path)): void {
  if (uid !== 0 && uid !== process.getuid?.()) {
    throw refused(path, `it belongs to the user ${uid}: chown it to root or to the user that runs lazaret`);
  }
  if ((mode & OTHERS_WRITE) !== 0) throw refused(path, `everybody may write it: chmod o-w ${path}`);
}

/** Looks at every file: none that others can change, no link that leads out, a digest over all. */
function digestOf(directory: string): string {
  const hash = createHash('sha256');
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  if (names.length > MAX_FILES) throw refused(directory, `it has more than ${MAX_FILES} files`);
  checkOwner(directory);
  for (const name of names) {
    const path = join(directory, name);
    const facts = lstatSync(path);
    if (facts.isSymbolicLink()) {
      if (!inside(directory, realpathSync(path)))
        throw refused(directory, `the link ${name} leads out of it`);
      continue;
    }
    checkOwner(path, facts);
    if (facts.isFile()) hash.update(`${name}\0${facts.size}\0`).update(readFileSync(path));
    else if (!facts.isDirectory()) throw refused(directory, `${name} is neither a file nor a directory`);
  }
  return hash.digest('hex');
}

function inside(directory: string, path: string): boolean {
  const way = relative(directory, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`);
}

function within<Result>(directory: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof PluginError) throw cause;
    const message = `the plugin in ${directory} cannot be read: ${(cause as Error).message}`;
    throw new PluginError('bad-package', message, { cause });
  }
}

const refused = (directory: string, why: string): PluginError =>
  new PluginError('bad-package', `the plugin in ${directory} is refused: ${why}`);

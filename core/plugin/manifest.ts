/**
 * A third-party package as its package.json describes it. It is read and judged without running anything of it:
 * who may write its files, whether its entry lies inside it, and whether this host has the API it was made for.
 */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { INSTRUCTION_NAMES, type InstructionName } from '../../protocol/index.ts';
import { API_VERSION, PluginError, SIGNATURE_TYPES } from '../api/index.ts';
import { inside, inspectFiles, type PackageFiles, readDescription, refused } from './package-files.ts';
import { wantsSchema } from './wants.ts';

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
    /** By default those that bring what it wants to look at. */
    requires: z.array(z.enum(INSTRUCTION_NAMES)).optional(),
    signatures: z.array(z.enum(SIGNATURE_TYPES)).optional(),
    wants: wantsSchema.prefault({}),
  }),
});

type Described = z.output<typeof manifestSchema>['lazaret'];
export type Manifest = Described & { readonly requires: readonly InstructionName[] };

const BRINGS = {
  file: ['query:files', 'query:content'],
  process: ['query:processes'],
} as const satisfies Record<string, readonly InstructionName[]>;

/** A package that may be started. */
export interface FoundPackage extends PackageFiles {
  /** The package's directory and its entry, without symbolic links. */
  readonly directory: string;
  readonly entry: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly manifest: Manifest;
}

/** Reads the package in `directory`. Throws PluginError `bad-package` or `unsupported-api`. */
export function readPackage(directory: string): FoundPackage {
  const real = within(directory, () => realpathSync(directory));
  const described = within(directory, () => JSON.parse(readDescription(real)));
  const result = manifestSchema.safeParse(described);
  if (!result.success) {
    throw refused(directory, `package.json is not that of a plugin:\n${z.prettifyError(result.error)}`);
  }
  const { name, version, description, lazaret } = result.data;
  const { requires = lazaret.wants.kinds.flatMap((kind) => BRINGS[kind]) } = lazaret;
  const manifest = { ...lazaret, requires };
  if (manifest.api !== API_VERSION) {
    const complaint = `the plugin ${manifest.id} is made for version ${manifest.api} of the plugin API, this host has ${API_VERSION}: install a release of it that fits`;
    throw new PluginError('unsupported-api', complaint);
  }
  const files = within(directory, () => inspectFiles(real));
  const entry = within(directory, () => realpathSync(join(real, manifest.entry)));
  if (!inside(real, entry)) throw refused(directory, `its entry ${manifest.entry} lies outside of it`);
  return { directory: real, entry, name, version, description, manifest, ...files };
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

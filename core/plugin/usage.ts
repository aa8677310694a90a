/** Whether a plugin is in use, as configuration and the pack files that there are decide it. */
import { type AnyPlugin, API_VERSION, type SignatureFile, type StandardSchema } from '../api/index.ts';

/** What configuration says of one plugin: whether it is used, and options of its own. */
export interface PluginSettings {
  readonly enabled: boolean;
  readonly [option: string]: unknown;
}

export type Usage =
  | { readonly state: 'used'; readonly options: unknown }
  | {
      /** The last two are errors of the configuration, or of the installation. */
      readonly state: 'off' | 'needs-signatures' | 'needs-options' | 'bad-options' | 'unsupported-api';
      readonly why: string;
    };

/**
 * One that configuration does not mention is used when it needs no options; one that takes signature files, when
 * there are some for it.
 */
export async function usageOf(
  { meta, options: schema, signatures: types }: AnyPlugin,
  settings: PluginSettings | undefined,
  files: readonly SignatureFile[],
): Promise<Usage> {
  const { id, api = API_VERSION } = meta;
  if (settings === undefined && types !== undefined && files.length === 0) {
    return {
      state: 'needs-signatures',
      why: `it has no signatures: give it some under plugins.${id}, or install a pack`,
    };
  }
  const { enabled, ...given } = settings ?? { enabled: true };
  if (!enabled) return { state: 'off', why: `plugins.${id}.enabled is false` };
  if (api !== API_VERSION) {
    const why = `the plugin ${id} is made for version ${api} of the plugin API, this host has ${API_VERSION}: install a release of it that fits`;
    return { state: 'unsupported-api', why };
  }
  const checked = await checkOptions(id, schema, given);
  if ('options' in checked) return { state: 'used', options: checked.options };
  return { state: settings === undefined ? 'needs-options' : 'bad-options', why: checked.message };
}

/** The options as the plugin takes them, or a line for each that it refuses. */
export async function checkOptions(
  id: string,
  schema: StandardSchema,
  given: unknown,
): Promise<{ readonly options: unknown } | { readonly message: string }> {
  const result = await schema['~standard'].validate(given);
  if (result.issues === undefined) return { options: result.value };
  const lines = result.issues.map(({ path, message }) => `${keyOf(id, path)}: ${message}`);
  return { message: lines.join('\n') };
}

/** `plugins.yara.rules.0`. A step of a path is a key, or an object that has it. */
function keyOf(id: string, path: readonly unknown[] = []): string {
  const keys = path.map((step) =>
    typeof step === 'object' && step !== null && 'key' in step ? String(step.key) : String(step),
  );
  return ['plugins', id, ...keys].join('.');
}

/** The pack files that the plugin takes. */
export const filesFor = (
  { signatures: types = [] }: AnyPlugin,
  files: readonly SignatureFile[],
): readonly SignatureFile[] => files.filter(({ type }) => types.includes(type));

import type { Kinds, Plugin, PluginKind } from '../core/api/index.ts';
import { contextWith } from './subjects.ts';

/** Sets a plugin up as the host does: options are checked by its own schema first. */
export async function setUp<Kind extends PluginKind>(
  plugin: Plugin<Kind>,
  given: Readonly<Record<string, unknown>> = {},
): Promise<Kinds[Kind]> {
  const result = await plugin.options['~standard'].validate(given);
  if (result.issues) throw new Error(`${plugin.meta.id} refuses ${JSON.stringify(given)}`);
  return plugin.setup(contextWith(result.value));
}

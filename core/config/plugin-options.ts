/** Options of plugins, which only they can check. */
import type { StandardSchema } from '../api/index.ts';
import type { Settings } from './schema.ts';
import { type Fault, type KeyPath, positionOf, type Source } from './source.ts';

/** As much of a plugin as its configuration needs. */
export interface Configurable {
  readonly meta: { readonly id: string };
  readonly options: StandardSchema<unknown>;
}

/** What the plugins that are configured and enabled find wrong with their options; ids that no plugin has. */
export async function pluginFaults(
  plugins: readonly Configurable[],
  settings: Settings['plugins'],
  source: Source,
): Promise<Fault[]> {
  const known = plugins.map(({ meta }) => meta.id).sort();
  const faults = Object.entries(settings).map(async ([id, { enabled, ...given }]) => {
    const plugin = plugins.find(({ meta }) => meta.id === id);
    const path = ['plugins', id];
    if (!plugin) {
      const expected = `expected one of ${known.join(', ')} (lazaret plugin list tells which are refused)`;
      return [faultAt(source, path, `there is no such plugin: ${expected}`)];
    }
    return enabled ? optionFaults(plugin, given, path, source) : [];
  });
  return (await Promise.all(faults)).flat();
}

async function optionFaults(
  plugin: Configurable,
  given: unknown,
  path: KeyPath,
  source: Source,
): Promise<Fault[]> {
  const { issues = [] } = await plugin.options['~standard'].validate(given);
  return issues.map((issue) => faultAt(source, [...path, ...keysOf(issue.path)], issue.message));
}

/** A step of a Standard Schema path is a key, or an object that has it. */
const keysOf = (path: readonly unknown[] = []): KeyPath =>
  path.map(
    (step) => (typeof step === 'object' && step !== null && 'key' in step ? step.key : step) as PropertyKey,
  );

const faultAt = (source: Source, key: KeyPath, message: string): Fault => ({
  at: positionOf(source, key),
  key,
  message,
});

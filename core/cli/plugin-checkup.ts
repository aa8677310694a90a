/** Has every plugin that is in use look at what it needs of this host. */
import { join } from 'node:path';
import type { Checkup, Logger, PluginContext } from '../api/index.ts';
import type { Configurable, Settings } from '../config/index.ts';
import type { Check } from './checkup.ts';

/** As much of a plugin as its checkup needs. */
export interface Examinable extends Configurable {
  // biome-ignore lint/suspicious/noExplicitAny: each plugin has options of its own, checked by its own schema.
  checkup?(context: PluginContext<any>): Promise<readonly Checkup[]>;
}

const LONGEST_MS = 60_000;
const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** Checks under the plugins' ids. Plugins that are switched off, or need options and have none, are left out. */
export async function checkPlugins(
  plugins: readonly Examinable[],
  settings: Pick<Settings, 'plugins' | 'state'>,
  longestMs = LONGEST_MS,
): Promise<Check[]> {
  const checks = plugins.map((plugin) => checkPlugin(plugin, settings, longestMs));
  return (await Promise.all(checks)).flat();
}

async function checkPlugin(
  { meta: { id }, options, ...plugin }: Examinable,
  settings: Pick<Settings, 'plugins' | 'state'>,
  longestMs: number,
): Promise<Check[]> {
  const { enabled, ...given } = settings.plugins[id] ?? { enabled: true };
  if (!enabled || plugin.checkup === undefined) return [];
  const checked = await options['~standard'].validate(given);
  // Wrong options are a matter of the configuration's check.
  if (checked.issues !== undefined) return [];
  const stop = new AbortController();
  const context = {
    options: checked.value,
    logger: silent,
    signatures: [],
    cache: join(settings.state, 'cache', id),
    signal: stop.signal,
  };
  const tooLong = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => tooLong.reject(new Error(`did not end within ${longestMs / 1000} s`)),
    longestMs,
  );
  try {
    const checkups = await Promise.race([plugin.checkup(context), tooLong.promise]);
    return checkups.map((checkup) => ({ name: id, ...checkup }));
  } catch (error) {
    const detail = `its checkup failed: ${error instanceof Error ? error.message : String(error)}`;
    return [{ name: id, status: 'fail', detail }];
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

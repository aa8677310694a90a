export { CONFIG_DIRECTORY, check, type LoadedSettings, loadSettings, type Place } from './load.ts';
export type { Configurable } from './plugin-options.ts';
export { defaults, type Settings, settingsJsonSchema } from './schema.ts';

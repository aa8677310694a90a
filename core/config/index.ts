export { type Budget, type Policy, type Schedule, settingsFor, type VmSettings } from './effective.ts';
export { LiveSettings } from './live.ts';
export { CONFIG_DIRECTORY, check, type LoadedSettings, loadSettings, type Place } from './load.ts';
export { matchesPattern } from './pattern.ts';
export type { Configurable } from './plugin-options.ts';
export { CRON_OPTIONS } from './schedule-schema.ts';
export { defaults, type Settings, settingsJsonSchema } from './schema.ts';

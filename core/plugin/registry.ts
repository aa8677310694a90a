/**
 * Sets plugins up and keeps them by kind. It knows none by name: the composition root hands them over, the
 * configuration their options.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstructionName } from '../../protocol/index.ts';
import {
  type AnyPlugin,
  API_VERSION,
  type Kinds,
  type Logger,
  PluginError,
  type PluginKind,
  type PluginMeta,
  type StandardSchema,
} from '../api/index.ts';

/** What configuration says of one plugin: whether it is used, and options of its own. */
export interface PluginSettings {
  readonly enabled: boolean;
  readonly [option: string]: unknown;
}

/** A plugin that is ready for use. */
export interface ReadyPlugin<Kind extends PluginKind> {
  readonly id: string;
  readonly meta: PluginMeta<Kind>;
  readonly requires: readonly InstructionName[];
  readonly instance: Kinds[Kind];
}

export interface RegistryContext {
  readonly logger: Logger;
  /** Where plugins have a directory each for what can be made again. */
  readonly cache: string;
  /** Aborted when the host shuts down. */
  readonly signal: AbortSignal;
}

type AnyReady = { [Kind in PluginKind]: ReadyPlugin<Kind> }[PluginKind];

export class PluginRegistry {
  readonly detectors: readonly ReadyPlugin<'detector'>[];
  readonly remediations: readonly ReadyPlugin<'remediation'>[];
  readonly patches: readonly ReadyPlugin<'patch'>[];
  private readonly ready: readonly AnyReady[];

  private constructor(ready: readonly AnyReady[]) {
    this.ready = ready;
    this.detectors = ready.filter((plugin) => plugin.meta.kind === 'detector') as ReadyPlugin<'detector'>[];
    this.remediations = ready.filter(
      (plugin) => plugin.meta.kind === 'remediation',
    ) as ReadyPlugin<'remediation'>[];
    this.patches = ready.filter((plugin) => plugin.meta.kind === 'patch') as ReadyPlugin<'patch'>[];
  }

  /**
   * Sets up, all at once, the plugins that are enabled. One that configuration does not mention is used when
   * it needs no options. Throws PluginError, and leaves none running, when a plugin cannot be set up.
   */
  static async open(
    plugins: readonly AnyPlugin[],
    settings: Readonly<Record<string, PluginSettings>>,
    context: RegistryContext,
  ): Promise<PluginRegistry> {
    checkIds(plugins, settings);
    const outcomes = await Promise.allSettled(
      plugins.map((plugin) => setUp(plugin, settings[plugin.meta.id], context)),
    );
    const ready = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? (outcome.value ?? []) : [],
    );
    const registry = new PluginRegistry(ready);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return registry;
    await registry.close();
    throw failed.reason;
  }

  /** The instructions that the plugins in use are of no use without. */
  needs(): Set<InstructionName> {
    return new Set(this.ready.flatMap(({ requires }) => requires));
  }

  /** Closes every plugin, also when closing one fails; that error is thrown in the end. */
  async close(): Promise<void> {
    const outcomes = await Promise.allSettled(this.detectors.map(({ instance }) => instance.close()));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}

function checkIds(plugins: readonly AnyPlugin[], settings: Readonly<Record<string, PluginSettings>>): void {
  const ids = new Set<string>();
  for (const { meta } of plugins) {
    if (ids.has(meta.id)) throw new PluginError('bad-options', `two plugins have the id ${meta.id}`);
    ids.add(meta.id);
  }
  for (const id of Object.keys(settings)) {
    if (ids.has(id)) continue;
    const known = [...ids].sort().join(', ');
    throw new PluginError('bad-options', `plugins.${id}: there is no such plugin; there are ${known}`);
  }
}

/** The plugin, set up; undefined when it is switched off or was not asked for. */
async function setUp(
  plugin: AnyPlugin,
  settings: PluginSettings | undefined,
  { logger, cache: caches, signal }: RegistryContext,
): Promise<AnyReady | undefined> {
  const { meta, requires } = plugin;
  const { enabled, ...given } = settings ?? { enabled: true };
  if (!enabled) return undefined;
  checkApi(meta);
  const checked = await checkOptions(meta.id, plugin.options, given);
  if ('message' in checked) {
    if (settings !== undefined) throw new PluginError('bad-options', checked.message);
    logger.info(`the plugin ${meta.id} is not used: it needs options`, { plugin: meta.id });
    return undefined;
  }
  const cache = join(caches, meta.id);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const instance = await plugin.setup({ options: checked.options, logger, signatures: [], cache, signal });
  return { id: meta.id, meta, requires, instance } as AnyReady;
}

function checkApi({ id, api = API_VERSION }: PluginMeta): void {
  if (api === API_VERSION) return;
  throw new PluginError(
    'unsupported-api',
    `the plugin ${id} is made for version ${api} of the plugin API, this host has ${API_VERSION}: install a release of it that fits`,
  );
}

/** The options as the plugin takes them, or a line for each that it refuses. */
async function checkOptions(
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

/**
 * Sets plugins up and keeps them by kind. It knows none by name: the composition root hands them over, the
 * configuration their options.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstructionName } from '../../protocol/index.ts';
import {
  type AnyPlugin,
  type Kinds,
  type Logger,
  PluginError,
  type PluginKind,
  type PluginMeta,
  type SignatureFile,
  type SignatureProblem,
} from '../api/index.ts';
import { checkOptions, filesFor, type PluginSettings, usageOf } from './usage.ts';

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
  /** Plugins that were not even taken: whoever scans without them is told. */
  readonly refused?: readonly SignatureProblem[];
}

type AnyReady = { [Kind in PluginKind]: ReadyPlugin<Kind> }[PluginKind];

/** Detectors that stay usable until they are let go of, whatever is renewed meanwhile. */
export interface HeldDetectors extends Disposable {
  readonly detectors: readonly ReadyPlugin<'detector'>[];
  /** Plugins that are not among them because they were refused. */
  readonly refused: readonly SignatureProblem[];
}

/** Plugins that were set up together; holders keep it from being closed. */
interface Generation {
  readonly ready: readonly AnyReady[];
  holders: number;
}

export class PluginRegistry {
  private readonly plugins: readonly AnyPlugin[];
  private settings: Readonly<Record<string, PluginSettings>>;
  private readonly context: RegistryContext;
  private signatures: readonly SignatureFile[];
  private current: Generation;
  private readonly live = new Set<Generation>();
  private readonly closing: Promise<void>[] = [];
  /** One change at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    plugins: readonly AnyPlugin[],
    settings: Readonly<Record<string, PluginSettings>>,
    context: RegistryContext,
    signatures: readonly SignatureFile[],
    ready: readonly AnyReady[],
  ) {
    this.plugins = plugins;
    this.settings = settings;
    this.context = context;
    this.signatures = signatures;
    this.current = { ready, holders: 0 };
    this.live.add(this.current);
  }

  /**
   * Sets up, all at once, the plugins that are enabled. One that configuration does not mention is used when
   * it needs no options; one that takes signature files, when there are some for it. Throws PluginError, and
   * leaves none running, when a plugin cannot be set up.
   */
  static async open(
    plugins: readonly AnyPlugin[],
    settings: Readonly<Record<string, PluginSettings>>,
    context: RegistryContext,
    signatures: readonly SignatureFile[] = [],
  ): Promise<PluginRegistry> {
    checkIds(plugins, settings);
    const ready = await setUpAll(plugins, settings, context, signatures);
    return new PluginRegistry(plugins, settings, context, signatures, ready);
  }

  /** Those of now. A scan uses `acquire`. */
  get detectors(): readonly ReadyPlugin<'detector'>[] {
    return this.current.ready.filter(isKind('detector'));
  }

  get remediations(): readonly ReadyPlugin<'remediation'>[] {
    return this.current.ready.filter(isKind('remediation'));
  }

  get patches(): readonly ReadyPlugin<'patch'>[] {
    return this.current.ready.filter(isKind('patch'));
  }

  /** The detectors of now, which are not closed before the result is disposed of. */
  acquire(): HeldDetectors {
    const generation = this.current;
    generation.holders++;
    let held = true;
    return {
      detectors: generation.ready.filter(isKind('detector')),
      refused: this.context.refused ?? [],
      [Symbol.dispose]: () => {
        if (held) generation.holders--;
        held = false;
        this.retire(generation);
      },
    };
  }

  /**
   * Sets new instances up of the detectors that take changed files, then swaps all at once. What was replaced
   * is closed when nobody holds it any more. Throws PluginError, and then everything is as before.
   */
  renew(signatures: readonly SignatureFile[]): Promise<void> {
    return this.inTurn(() => this.change(signatures, this.settings));
  }

  /** As `renew`, for plugins whose options are others now. */
  configure(settings: Readonly<Record<string, PluginSettings>>): Promise<void> {
    return this.inTurn(() => {
      checkIds(this.plugins, settings);
      return this.change(this.signatures, settings);
    });
  }

  private async change(
    signatures: readonly SignatureFile[],
    settings: Readonly<Record<string, PluginSettings>>,
  ): Promise<void> {
    const before = this.current;
    const concerned = this.plugins.filter((plugin) => {
      const given = [filesFor(plugin, this.signatures), this.settings[plugin.meta.id]];
      const wanted = [filesFor(plugin, signatures), settings[plugin.meta.id]];
      return JSON.stringify(given) !== JSON.stringify(wanted);
    });
    const ids = new Set(concerned.map(({ meta }) => meta.id));
    const renewed = await setUpAll(concerned, settings, this.context, signatures);
    const kept = before.ready.filter(({ id }) => !ids.has(id));
    const order = new Map(this.plugins.map(({ meta }, index) => [meta.id, index]));
    const ready = [...kept, ...renewed].sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
    this.current = { ready, holders: 0 };
    this.live.add(this.current);
    this.signatures = signatures;
    this.settings = settings;
    this.retire(before);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => undefined);
    return done;
  }

  /**
   * Detectors set up apart, with these files and no others; the caller closes them. Options are those of
   * configuration only where a plugin cannot do without. Throws PluginError.
   */
  async apart(signatures: readonly SignatureFile[]): Promise<readonly ReadyPlugin<'detector'>[]> {
    const taking = this.plugins.filter((plugin) => filesFor(plugin, signatures).length > 0);
    const bare: Record<string, PluginSettings> = {};
    for (const { meta, options } of taking) {
      const configured = this.settings[meta.id];
      const alone = configured?.enabled !== false && 'options' in (await checkOptions(meta.id, options, {}));
      if (configured && !alone) bare[meta.id] = configured;
    }
    const ready = await setUpAll(taking, bare, this.context, signatures);
    return ready.filter(isKind('detector'));
  }

  /** The instructions that the plugins in use are of no use without. */
  needs(): Set<InstructionName> {
    return new Set(this.current.ready.flatMap(({ requires }) => requires));
  }

  /** Closes every plugin, also when closing one fails; that error is thrown in the end. */
  async close(): Promise<void> {
    // What is being set up would be left running.
    await this.turn;
    const instances = new Set([...this.live].flatMap(({ ready }) => ready.filter(isKind('detector'))));
    this.live.clear();
    await settle([...this.closing, ...[...instances].map(({ instance }) => instance.close())]);
  }

  /** Closes what only this generation has, when it is not the current one and nobody holds it. */
  private retire(generation: Generation): void {
    if (generation === this.current || generation.holders > 0 || !this.live.delete(generation)) return;
    const used = new Set([...this.live].flatMap(({ ready }) => ready));
    for (const plugin of generation.ready.filter(isKind('detector'))) {
      if (used.has(plugin)) continue;
      const closed = plugin.instance.close().catch((error: unknown) => {
        this.context.logger.warn(`the plugin ${plugin.id} did not close well: ${String(error)}`);
      });
      this.closing.push(closed);
    }
  }
}

const isKind =
  <Kind extends PluginKind>(kind: Kind) =>
  (plugin: AnyReady): plugin is Extract<AnyReady, ReadyPlugin<Kind>> =>
    plugin.meta.kind === kind;

/** Throws the first error, and then leaves none running. */
async function setUpAll(
  plugins: readonly AnyPlugin[],
  settings: Readonly<Record<string, PluginSettings>>,
  context: RegistryContext,
  signatures: readonly SignatureFile[],
): Promise<readonly AnyReady[]> {
  const outcomes = await Promise.allSettled(
    plugins.map((plugin) => setUp(plugin, settings[plugin.meta.id], context, filesFor(plugin, signatures))),
  );
  const ready = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? (outcome.value ?? []) : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return ready;
  await Promise.allSettled(ready.filter(isKind('detector')).map(({ instance }) => instance.close()));
  throw failed.reason;
}

async function settle(work: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
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

const NOT_USED = {
  'needs-options': 'it needs options',
  'needs-signatures': 'it has no signatures',
} as const;

/** The plugin, set up; undefined when it is switched off or was not asked for. */
async function setUp(
  plugin: AnyPlugin,
  settings: PluginSettings | undefined,
  { logger, cache: caches, signal }: RegistryContext,
  signatures: readonly SignatureFile[],
): Promise<AnyReady | undefined> {
  const { meta, requires } = plugin;
  const usage = await usageOf(plugin, settings, signatures);
  switch (usage.state) {
    case 'unsupported-api':
    case 'bad-options':
      throw new PluginError(usage.state, usage.why);
    case 'off':
      return undefined;
    case 'needs-options':
    case 'needs-signatures':
      logger.info(`the plugin ${meta.id} is not used: ${NOT_USED[usage.state]}`, { plugin: meta.id });
      return undefined;
  }
  const cache = join(caches, meta.id);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const instance = await plugin.setup({ options: usage.options, logger, signatures, cache, signal });
  return { id: meta.id, meta, requires, instance } as AnyReady;
}

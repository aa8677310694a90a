import type { InstructionName } from '../../protocol/index.ts';
import type { Detector } from './detector.ts';
import type { PatchSource } from './patch.ts';
import type { Remediation } from './remediation.ts';

/** The version of this API. A plugin made for another major version is refused. */
export const API_VERSION = 1;

/** The part of https://standardschema.dev that is used: any schema library can describe a plugin's options. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly unknown[] | undefined;
      }[];
    };

export interface Logger {
  debug(message: string, facts?: Readonly<Record<string, unknown>>): void;
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** All that a plugin is handed. */
export interface PluginContext<Options> {
  readonly options: Options;
  readonly logger: Logger;
  /** Aborted when the host shuts the plugin down. */
  readonly signal: AbortSignal;
}

/** What `setup` gives, by kind. */
export interface Kinds {
  detector: Detector;
  remediation: Remediation;
  patch: PatchSource;
}
export type PluginKind = keyof Kinds;

export interface PluginMeta<Kind extends PluginKind = PluginKind> {
  readonly kind: Kind;
  /** The name of its folder and, after `lazaret-plugin-`, of its package. */
  readonly id: string;
  readonly version: string;
  readonly description: string;
  /** The API_VERSION that it was made for. Built-ins leave it out: they change with the host. */
  readonly api?: number;
}

export interface Plugin<Kind extends PluginKind = PluginKind, Options = unknown> {
  readonly meta: PluginMeta<Kind>;
  readonly options: StandardSchema<Options>;
  /** Instructions that the plugin is of no use without; they take part in the negotiation. */
  readonly requires: readonly InstructionName[];
  setup(context: PluginContext<Options>): Promise<Kinds[Kind]> | Kinds[Kind];
}

export type AnyPlugin = { [Kind in PluginKind]: Plugin<Kind> }[PluginKind];

/** Declares a plugin. The default export of its package. */
export function definePlugin<Kind extends PluginKind, Options>(
  plugin: Plugin<Kind, Options>,
): Plugin<Kind, Options> {
  return plugin;
}

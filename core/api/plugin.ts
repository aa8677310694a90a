import type { InstructionName } from '../../protocol/index.ts';
import type { Detector } from './detector.ts';
import type { PatchSource } from './patch.ts';
import type { Remediation } from './remediation.ts';
import type { SignatureFile, SignatureType } from './signature.ts';

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
  /** Files of active packs, of the types that the plugin takes. */
  readonly signatures: readonly SignatureFile[];
  /** A private host directory for what can be made again: compiled rules, an index. May be emptied at any time. */
  readonly cache: string;
  /** Aborted when the host shuts the plugin down. */
  readonly signal: AbortSignal;
}

/** One thing that was looked at for `lazaret doctor`. */
export interface Checkup {
  /** `warn`: what is missing is optional, or may be meant so. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** How to get what is missing. */
  readonly remedy?: string;
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
  /** Types of pack files that it takes. Such a plugin is in use when it is configured or a pack has files for it. */
  readonly signatures?: readonly SignatureType[];
  setup(context: PluginContext<Options>): Promise<Kinds[Kind]> | Kinds[Kind];
  /** Looks at what the plugin needs of the host, for `lazaret doctor`. Changes nothing and does not reject. */
  checkup?(context: PluginContext<Options>): Promise<readonly Checkup[]>;
}

export type AnyPlugin = { [Kind in PluginKind]: Plugin<Kind> }[PluginKind];

/** Declares a plugin. The default export of its package. */
export function definePlugin<Kind extends PluginKind, Options>(
  plugin: Plugin<Kind, Options>,
): Plugin<Kind, Options> {
  return plugin;
}

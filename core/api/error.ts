import { CodedError } from '../../protocol/index.ts';

export type PluginErrorCode =
  | 'bad-options'
  | 'unsupported-api'
  | 'bad-package'
  | 'bad-signatures'
  | 'bad-bundle'
  | 'engine-unavailable'
  | 'engine-failed';

/** A plugin cannot do what it is for. Thrown by `setup`, `load` and `detect`. */
export class PluginError extends CodedError<PluginErrorCode> {}

import { CodedError } from '../../protocol/index.ts';

export type OperationErrorCode =
  | 'unknown-vm'
  /** Several VMs have this name: only an id tells them apart. */
  | 'ambiguous-vm'
  | 'unknown-scan'
  | 'unknown-file'
  | 'unknown-enrolment'
  /** What is asked for does not go with the state that the thing is in. */
  | 'wrong-state'
  /** The driver of this VM cannot do it: a bare socket has no power switch. */
  | 'not-supported'
  | 'not-connected'
  | 'shutting-down'
  | 'cancelled';

/** The daemon cannot do what it was asked to do. Nothing was changed. */
export class OperationError extends CodedError<OperationErrorCode> {}

export type ApiErrorCode =
  | 'bad-request'
  | 'unauthenticated'
  | 'forbidden'
  | 'no-such-route'
  | 'too-large'
  | 'too-many-requests'
  | 'too-many-connections'
  | 'unsupported-media-type'
  /** The API cannot be served as configured. */
  | 'cannot-listen'
  | 'bad-options'
  /** The daemon answered what is no answer, or went away while it did. */
  | 'no-answer'
  | 'slow-reader'
  | 'internal';

/** A request was refused before anything was asked of the daemon, or could not be answered. */
export class ApiError extends CodedError<ApiErrorCode> {}

/** What a running daemon answered that it cannot do: `code` is of its lists, which may be longer than ours. */
export class DaemonError extends CodedError {}

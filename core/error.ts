import { CodedError } from '../protocol/index.ts';

/** An error as records and answers have it. What has no code of ours is a fault of ours. */
export function describeError(error: unknown): { readonly code: string; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  return { code: error instanceof CodedError ? error.code : 'internal', message };
}

export type ScanErrorCode = 'no-detectors' | 'not-permitted' | 'spool-failed';
/** A scan cannot be carried out at all. */
export class ScanError extends CodedError<ScanErrorCode> {}

export type StoreErrorCode =
  | 'not-writable'
  | 'not-private'
  | 'in-use'
  | 'corrupt'
  | 'newer-version'
  | 'not-found'
  | 'write-failed';
/** The state directory cannot be used, or does not have what was asked for. */
export class StoreError extends CodedError<StoreErrorCode> {}

/** The disk is full, or fails: nothing was kept. What needs no record goes on without. */
export const isUnwritten = (error: unknown): error is StoreError =>
  error instanceof StoreError && error.code === 'write-failed';

export type InstructionErrorCode =
  | 'not-granted'
  | 'protected'
  | 'suspended'
  | 'dry-run'
  | 'mode'
  | 'outcome-unknown'
  /** Events find no room, so nothing is done. */
  | 'spool-full'
  /** The vault takes no more of this guest, so nothing is contained. */
  | 'vault-full'
  /** It could not be written down first, so nothing is done. */
  | 'not-recorded'
  | 'refused';
/** An instruction was not, or may not have been, carried out. */
export class InstructionError extends CodedError<InstructionErrorCode> {}

export type EventErrorCode = 'reader-gone' | 'write-failed' | 'spool-full' | 'spool-failed' | 'stopped';
/** An event could not be handed on. */
export class EventError extends CodedError<EventErrorCode> {}

export type DeliveryErrorCode =
  | 'unreachable'
  | 'busy'
  | 'not-admitted'
  | 'refused'
  | 'write-failed'
  | 'bad-options';
/** A sink did not take the events that were sent to it. `refused`: because of what they are; all else may pass. */
export class DeliveryError extends CodedError<DeliveryErrorCode> {
  /** Milliseconds that the receiver asks us to wait. */
  readonly retryAfter: number | undefined;

  constructor(
    code: DeliveryErrorCode,
    message: string,
    options?: ErrorOptions & { readonly retryAfter?: number },
  ) {
    super(code, message, options);
    this.retryAfter = options?.retryAfter;
  }
}

export type SecretErrorCode = 'unreadable' | 'empty' | 'too-large';
/** A file that should hold a secret does not. */
export class SecretError extends CodedError<SecretErrorCode> {}

export type ConfigErrorCode = 'not-found' | 'unreadable' | 'invalid';
/** The configuration cannot be used; the message has one line an error: file, line, column, key, what was expected. */
export class ConfigError extends CodedError<ConfigErrorCode> {}

export type PatchErrorCode = 'unreadable';
/** A patch cannot look at what it is about. */
export class PatchError extends CodedError<PatchErrorCode> {}

export type EnrolmentErrorCode = 'not-known' | 'not-pending' | 'bad-fingerprint' | 'bad-lifetime';
/** An operator's word about the enrolment of a guest cannot be carried out. */
export class EnrolmentError extends CodedError<EnrolmentErrorCode> {}

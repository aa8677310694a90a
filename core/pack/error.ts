import { CodedError } from '../../protocol/index.ts';

export type PackErrorCode =
  /** Not a pack: not an archive, truncated, or with entries that no pack has. */
  | 'malformed'
  | 'too-large'
  | 'bad-manifest'
  | 'unsupported-schema'
  | 'unsupported-api'
  | 'unsigned'
  | 'bad-signature'
  | 'untrusted-key'
  | 'wrong-hash'
  | 'missing-file'
  | 'extra-file'
  | 'expired'
  /** Its serial is lower than one that was installed, or the same with other content. */
  | 'serial-went-back'
  | 'no-detector'
  | 'bad-signatures'
  | 'test-failed'
  | 'flags-known-good'
  | 'not-found'
  | 'unreadable'
  | 'bad-key';

/** A pack was refused or could not be made. What was active before is active still. */
export class PackError extends CodedError<PackErrorCode> {}

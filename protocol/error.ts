/**
 * The base of every error of this project: a code from a closed list, the cause, and a sentence that tells
 * the reader what happened and what to do.
 */
export abstract class CodedError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

export type ProtocolErrorCode =
  | 'message-too-large'
  | 'malformed-message'
  | 'malformed-path'
  | 'malformed-record'
  | 'record-out-of-turn'
  | 'resync-overflow';

/** What came from the other side breaks the contract of this folder. Ends that session, nothing else. */
export class ProtocolError extends CodedError<ProtocolErrorCode> {}

export type ClamdErrorCode =
  /** Nobody takes connections at the socket. */
  | 'unreachable'
  /** The connection ended before the answer. */
  | 'lost'
  /** It takes connections and answers nothing, not even PING. */
  | 'hung'
  /** What came is no answer to what was asked. */
  | 'nonsense'
  /** It failed repeatedly and is left alone for a while. */
  | 'resting'
  /** It is well, and this one request took too long. */
  | 'deadline'
  /** The caller does not want the answer any more. */
  | 'cancelled'
  /** The content could not be read here. */
  | 'unreadable';

/** Why there is no answer from clamd. */
export class ClamdError extends Error {
  readonly code: ClamdErrorCode;

  constructor(code: ClamdErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ClamdError';
    this.code = code;
  }
}

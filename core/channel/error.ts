import { CodedError } from '../../protocol/index.ts';

export type ChannelErrorCode =
  /** The socket is not there, or refuses. */
  | 'connect-failed'
  /** Nobody echoed the resync nonce: the agent is not running, or the port leads elsewhere. */
  | 'no-agent'
  | 'tls-failed'
  /** The agent's key is not the one that was pinned for this domain. */
  | 'key-changed'
  | 'login-failed'
  /** The guest is not enrolled, and the mode of enrolment does not let it in by itself. */
  | 'not-enrolled'
  /** The guest shows an enrolment token that was used, has expired, is another VM's, or is not known here. */
  | 'token-used'
  | 'token-expired'
  | 'token-foreign'
  | 'token-unknown'
  /** The login contradicts what is known of the domain (UUID, agent id). */
  | 'identity-mismatch'
  /** A deadline passed without a byte from the guest. */
  | 'silent'
  /** The guest broke the protocol: malformed, over a limit or out of turn. */
  | 'protocol-violation'
  /** The outcome of a command does not say what came of it. The session goes on. */
  | 'unreadable-outcome'
  /** The agent refused a request; the message has its code. */
  | 'refused'
  | 'session-lost'
  | 'cancelled';

/** The channel to one guest failed. Ends that session, nothing else. */
export class ChannelError extends CodedError<ChannelErrorCode> {}

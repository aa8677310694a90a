import { CodedError } from '../../protocol/index.ts';

export const HYPERVISOR_ERROR_CODES = [
  /** The library that speaks to the hypervisor is not installed, or not one we can use. */
  'library-missing',
  'connection-failed',
  /** It did not answer within our deadline. What was asked for may still happen. */
  'hypervisor-timeout',
  'no-such-domain',
  'no-such-snapshot',
  'snapshot-exists',
  'not-running',
  'still-running',
  /** A port of our name is there that is bound otherwise than we need. */
  'port-in-use',
  'unreadable-xml',
  /** The caller asked for something malformed. */
  'invalid-request',
  /** The hypervisor understood and said no; the message has its reason. */
  'refused',
  'closed',
] as const;

export type HypervisorErrorCode = (typeof HYPERVISOR_ERROR_CODES)[number];

/** The hypervisor, or one of its guests, cannot be used as asked. Concerns that call alone. */
export class HypervisorError extends CodedError<HypervisorErrorCode> {}

import type { Domain } from '../channel/session.ts';

/** What knows the guests of this host and where their channels are. */
export interface HypervisorPort {
  /** The guests that have a channel, in the order in which they are shown. Rejects when they cannot be told. */
  listDomains(): Promise<readonly Domain[]>;
}

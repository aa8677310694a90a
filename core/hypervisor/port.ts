import type { Domain } from '../channel/session.ts';
import type { HypervisorError } from './error.ts';

/** `off` is defined but not running; `suspended` sleeps by its own wish (S3); `unknown` where nobody tells. */
export type DomainState = 'running' | 'paused' | 'off' | 'crashed' | 'suspended' | 'unknown';

/**
 * The guest's end of the channel: `connected` while a program in the guest has the port open, `unknown` where the
 * hypervisor does not tell (then a try to connect does), `absent` where there is no such port.
 */
export type PortState = 'connected' | 'disconnected' | 'unknown' | 'absent';

/** A guest as the hypervisor sees it now, with a channel or without one. */
export interface HostDomain extends Omit<Domain, 'socket'> {
  /** The host's end of the port; undefined where there is none now: not running, or nothing attached. */
  readonly socket?: string;
  readonly state: DomainState;
  readonly port: PortState;
  /**
   * Another number for each start, reboot and return to a snapshot: what was agreed with an earlier generation
   * holds no longer. Counted in this process; says nothing across a restart of ours.
   */
  readonly generation: number;
  /** False for a guest that is forgotten when it stops; changes to it can only be live. */
  readonly persistent: boolean;
  /** Free text of whoever manages the host; shown through `displayText` only. */
  readonly title?: string;
  readonly description?: string;
  /** What the domain's `<metadata>` says, for selection: by namespace. Empty where there is none. */
  readonly metadata: readonly DomainMetadata[];
  /** Why its channel cannot be used: `port-in-use` or `unreadable-xml`. */
  readonly fault?: HypervisorError;
}

/** One element below `<metadata>`. */
export interface DomainMetadata {
  readonly namespace: string;
  /** The element's name without its prefix. */
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** All text in it, white space at its ends removed. */
  readonly text: string;
}

/** A guest to which one can connect. */
export type ReachableDomain = HostDomain & Domain;

export const isReachable = (domain: HostDomain): domain is ReachableDomain => domain.socket !== undefined;

/**
 * `defined`: seen for the first time (with a `started` if it runs, but for the guests of the very first list);
 * `redefined`: its name, title, metadata or devices; `port`: its channel came,
 * went, or the guest's side opened or closed; `started`, `rebooted` and `reverted` come with a new generation.
 */
export type DomainChangeKind =
  | 'defined'
  | 'redefined'
  | 'undefined'
  | 'started'
  | 'rebooted'
  | 'reverted'
  | 'stopped'
  | 'crashed'
  | 'paused'
  | 'resumed'
  | 'port';

export interface DomainChange {
  /** The guest after the change; after `undefined`, as it was known last. */
  readonly domain: HostDomain;
  readonly kind: DomainChangeKind;
  readonly at: Date;
}

export type HypervisorStatus =
  | { readonly state: 'connected'; readonly since: Date }
  | {
      readonly state: 'reconnecting';
      readonly since: Date;
      /** Why; undefined before the first try has ended. */
      readonly error: Error | undefined;
      readonly attempts: number;
    }
  | { readonly state: 'closed' };

/** What knows the guests of this host and where their channels are. */
export interface HypervisorPort {
  /** Where it is at with the hypervisor. The guests last known stay listed while it reconnects. */
  readonly status: HypervisorStatus;
  /**
   * The guests, in the order in which they are shown. Rejects with HypervisorError when they were never told yet
   * and cannot be told now.
   */
  listDomains(): Promise<readonly HostDomain[]>;
  /** Calls for each change from now on, in order, until disposed of. What a listener throws is logged. */
  watch(listener: (change: DomainChange) => void): Disposable;
  /** Ends everything that this started. Idempotent. */
  close(): Promise<void>;
}

/** What came of an attach or detach. */
export interface PortChange {
  /** What was changed; both false when it was so already. */
  readonly live: boolean;
  readonly persistent: boolean;
  /** The running guest cannot be changed (it has no virtio-serial controller): holds from its next start. */
  readonly needsRestart: boolean;
}

/** Gives guests the channel and takes it away. Everything rejects with HypervisorError. */
export interface ChannelPorts {
  /** Live where the guest runs, and for every later start where it is persistent. Idempotent. */
  attach(id: string): Promise<PortChange>;
  /** Idempotent. Sessions on the channel end. */
  detach(id: string): Promise<PortChange>;
}

export interface Snapshot {
  readonly name: string;
  readonly createdAt: Date;
  /** Of the guest when it was taken. */
  readonly state: DomainState;
  readonly current: boolean;
}

/**
 * Starting, stopping and keeping guests, by `HostDomain.id`. Everything rejects with HypervisorError, and is done
 * when it resolves, but for `stop`. Asking for what is so already succeeds.
 */
export interface VmPower {
  start(id: string): Promise<void>;
  /** Asks the guest to shut down (ACPI) and does not wait: a `stopped` follows if it obeys. */
  stop(id: string): Promise<void>;
  /** Takes the power away. */
  destroy(id: string): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** Disks, and memory while it runs; the guest stands still while it is taken. */
  snapshot(id: string, name: string): Promise<void>;
  revert(id: string, name: string): Promise<void>;
  /** Oldest first. */
  snapshots(id: string): Promise<readonly Snapshot[]>;
  /** Forgets a guest that is off, with its snapshots' records and firmware variables; its disks stay. */
  undefine(id: string): Promise<void>;
}

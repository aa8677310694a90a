import type { WireBytes } from '../../protocol/index.ts';
import type { Mode } from '../api/index.ts';
import type { Page, PageQuery } from '../store/page.ts';
import type { ActionRecord, FindingRecord, VaultRecord, VmActionRecord } from '../store/records.ts';
import type { Identity } from './api/access.ts';
import type {
  EnrolmentView,
  HealthView,
  PackChangeView,
  PackView,
  PatchReportView,
  ReloadView,
  SCAN_STATES,
  ScanEvent,
  ScanView,
  TokenView,
  VmView,
} from './views.ts';

/** `start` to `resume` change the VM; `attach` and `detach` its channel. `stop` asks the guest, `destroy` does not. */
export const POWER_VERBS = ['start', 'stop', 'destroy', 'pause', 'resume', 'attach', 'detach'] as const;
export type PowerVerb = (typeof POWER_VERBS)[number];

export interface ScanOrder {
  /** Name or id. */
  readonly vm: string;
  /** Default: the whole guest. */
  readonly roots?: readonly WireBytes[];
  /** Default: as policy has it. */
  readonly mode?: Mode;
  readonly dryRun?: boolean;
  /** Look at everything, whatever is known from before. */
  readonly fresh?: boolean;
}

export interface ScanQuery extends PageQuery {
  /** Name or id. */
  readonly vm?: string;
  readonly state?: (typeof SCAN_STATES)[number];
}

export interface VmQuery extends PageQuery {
  /** Name or id. */
  readonly vm?: string;
}

export interface FindingQuery extends VmQuery {
  /** The id of a scan that came to them, and none after it. */
  readonly scan?: string;
}

export interface PatchOrder {
  readonly vm: string;
  /** The text of the bundle. */
  readonly bundle: string;
  readonly dryRun: boolean;
}

/**
 * What the daemon does for others: for the API, and through it for the command line. Every method rejects with
 * CodedError. A VM is named by its name or its id. What was begun is finished, whether or not the caller still waits.
 */
export interface Operations {
  vms(): Promise<readonly VmView[]>;
  vm(nameOrId: string): Promise<VmView>;
  /** Resolves when the VM is in the state that was asked for; after `stop`, when its guest was asked. */
  power(vm: string, verb: PowerVerb, by: Identity): Promise<VmView>;
  snapshot(vm: string, name: string, by: Identity): Promise<VmView>;
  revert(vm: string, name: string, by: Identity): Promise<VmView>;
  /** What was done to VMs as a whole. */
  vmActions(query: VmQuery): Promise<Page<VmActionRecord>>;

  /** Resolves at once, with the scan queued. */
  startScan(order: ScanOrder): Promise<ScanView>;
  scans(query: ScanQuery): Promise<Page<ScanView>>;
  scan(id: string): Promise<ScanView>;
  /** Resolves when it was told to end; `wrong-state` when it has ended already. */
  cancelScan(id: string): Promise<ScanView>;
  /**
   * What was told of it so far, as far as that is kept, then all until it has ended (`ScanFeed` does so); of one that has
   * ended, its end at least. So one who follows right after `startScan` misses nothing. An abort ends the following, not
   * the scan.
   */
  followScan(id: string, signal: AbortSignal): AsyncIterable<ScanEvent>;

  findings(query: FindingQuery): Promise<Page<FindingRecord>>;
  actions(query: VmQuery): Promise<Page<ActionRecord>>;

  quarantine(query: VmQuery): Promise<Page<VaultRecord>>;
  /** `to`: where in the same guest; default: where it was. */
  restore(id: string, to?: WireBytes): Promise<void>;
  purge(id: string): Promise<void>;

  packs(): Promise<readonly PackView[]>;
  /** `path`: an archive on this host, which the caller removes afterwards. */
  installPack(path: string): Promise<PackChangeView>;
  rollbackPack(vendor: string, id: string): Promise<PackChangeView>;

  applyPatch(order: PatchOrder): Promise<PatchReportView>;

  /** `lifetime` in milliseconds. */
  createToken(vm: string, lifetime?: number): Promise<TokenView>;
  pendingEnrolments(): Promise<readonly EnrolmentView[]>;
  /** Pins the key of this fingerprint: the one that somebody compared, not the one that is waiting by then. */
  acceptEnrolment(vm: string, fingerprint: string): Promise<void>;
  /** Forgets the pinned key, so that the VM enrols again. */
  resetEnrolment(vm: string): Promise<void>;

  /** Reads the configuration again; one with errors is refused whole (ConfigError) and the old one stays. */
  reload(): Promise<ReloadView>;
  health(): Promise<HealthView>;
  /** In the text format of Prometheus. */
  metrics(): Promise<string>;
}

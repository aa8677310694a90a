import type { GuestPath } from '../protocol/index.ts';
import type { Logger, SignatureProblem } from './api/index.ts';
import type { Domain } from './channel/session.ts';
import type { LiveSettings, Settings } from './config/index.ts';
import type { ClosedAction } from './control/execute.ts';
import type { EnrolmentDesk } from './enrolment/desk.ts';
import type { EventRoom, EventSink } from './events/sink.ts';
import type { PackChange } from './pack/packs.ts';
import type { PatchReport } from './patch/apply.ts';
import type { ScanHooks, ScanReport, ScanRequest } from './scan/report.ts';
import type { OnAnswered } from './scan/responder.ts';
import type { SessionPool } from './session-pool.ts';
import type { ActionJournal } from './store/action-journal.ts';
import type { StateCondition } from './store/condition.ts';
import type { FindingStore } from './store/findings.ts';
import type { PackRecord } from './store/packs.ts';
import type { ScanStore } from './store/scans.ts';
import type { VaultIndex } from './store/vault-index.ts';
import type { VmActionJournal } from './store/vm-action-journal.ts';
import type { VmStore } from './store/vms.ts';

/** The engine, composed: what its users ask of it. Every method rejects with CodedError. */
export interface Services {
  readonly scanner: { scan(request: ScanRequest, hooks: ScanHooks): Promise<ScanReport> };
  readonly quarantine: {
    /** Puts a contained file back into its guest as it was, where it was or at `to`. */
    restore(id: string, signal: AbortSignal, to?: GuestPath): Promise<unknown>;
    /** Removes a contained file from the vault for good. */
    purge(id: string): Promise<void>;
  };
  readonly patcher: {
    /** Applies the bundle in the host file `bundle`; a dry run says what would be changed. */
    apply(
      domain: Domain,
      bundle: string,
      options: { readonly dryRun: boolean; readonly signal: AbortSignal },
    ): Promise<PatchReport>;
  };
  readonly packs: {
    /** Verifies, tries and uses the pack at `path`, an archive or a directory. */
    install(path: string, signal: AbortSignal): Promise<PackChange>;
    /** Goes back to the version before. */
    rollback(vendor: string, id: string, signal: AbortSignal): Promise<PackChange>;
  };
  /** Takes packs up while the engine runs. Does not reject: what is refused is logged. */
  readonly packWatch: {
    /** Looks once, then follows the watched directory until the engine is closed or `signal` is aborted. */
    start(signal: AbortSignal): Promise<void>;
    /** Takes up, at once, what the state directory names and what is new in the watched directory. */
    look(): Promise<void>;
  };
  close(): Promise<void>;
}

/** What the service asks for besides, as it goes on for long. */
export interface HostServices extends Services {
  readonly packs: Services['packs'] & {
    /** Those of vendors that are in use. */
    list(): readonly PackRecord[];
    /** What is wrong with those in use, such as their age. */
    problems(): Promise<readonly SignatureProblem[]>;
  };
  /** Sessions with guests, which all that is done to them shares. */
  readonly sessions: Pick<SessionPool, 'acquire' | 'drop'>;
  /** Those that hold now. */
  readonly settings: LiveSettings;
  readonly records: Records;
  /** Of the database. */
  readonly condition: Pick<StateCondition, 'reasons' | 'leaveOut'>;
  readonly enrolment: EnrolmentDesk;
  /** How full the spool is, in bytes. */
  spooled(): number;
  /** How often the vault did not take a file, since the engine started. */
  refusedByVault(): number;
  /**
   * Takes other settings up: those of policy count from the next scan and the next session of a guest. Rejects with
   * PluginError, and then the old ones stay. What needs a restart (state, spool, plugin directories) is not looked at.
   */
  reconfigure(settings: Settings): Promise<void>;
}

/** What was written down. */
export interface Records {
  readonly vms: VmStore;
  readonly scans: ScanStore;
  readonly findings: FindingStore;
  readonly actions: ActionJournal;
  readonly vmActions: VmActionJournal;
  readonly vault: VaultIndex;
}

/** What the engine is given from outside. */
export interface ServiceOptions {
  /** Aborted when the start itself is to be given up, as by an interrupt while rules are still read. */
  readonly signal?: AbortSignal | undefined;
  readonly events: EventSink;
  readonly logger: Logger;
  /** Whether there is room for the events of actions. Default: there is. */
  readonly room?: EventRoom;
  /** Called with each action whose outcome is known. */
  readonly onAction?: (action: ClosedAction) => void;
  /** Called with each finding that was answered. */
  readonly onAnswered?: OnAnswered;
  /** Called when another version of a pack is in use. */
  readonly onPackChange?: (change: PackChange) => void;
}

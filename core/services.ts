import type { Logger } from './api/index.ts';
import type { Domain } from './channel/session.ts';
import type { EventSink } from './events/sink.ts';
import type { PackChange } from './pack/packs.ts';
import type { PatchReport } from './patch/apply.ts';
import type { ScanHooks, ScanReport, ScanRequest } from './scan/report.ts';

/** The engine, composed: what its users ask of it. Every method rejects with CodedError. */
export interface Services {
  readonly scanner: { scan(request: ScanRequest, hooks: ScanHooks): Promise<ScanReport> };
  readonly quarantine: {
    /** Puts a contained file back into its guest as it was. */
    restore(id: string, signal: AbortSignal): Promise<unknown>;
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

/** What the engine is given from outside. */
export interface ServiceOptions {
  readonly events: EventSink;
  readonly logger: Logger;
}

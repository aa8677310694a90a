import type { Logger } from '../api/index.ts';
import type { Settings } from '../config/index.ts';
import type { EventSink } from '../events/sink.ts';
import type { ScanProgress, ScanReport, ScanRequest } from '../scan/report.ts';

/** What commands ask of the engine; the composition root has more. Every method rejects with CodedError. */
export interface Engine {
  readonly scanner: {
    scan(
      request: ScanRequest,
      hooks: { onProgress?(progress: ScanProgress): void; signal: AbortSignal },
    ): Promise<ScanReport>;
  };
  readonly quarantine: {
    /** Puts a contained file back into its guest as it was. */
    restore(id: string, signal: AbortSignal): Promise<unknown>;
    /** Removes a contained file from the vault for good. */
    purge(id: string): Promise<void> | void;
  };
  close(): Promise<void>;
}

/** Starts the engine: plugins, channels, the state directory open for changes. */
export type StartEngine = (
  settings: Settings,
  options: { readonly events: EventSink; readonly logger: Logger },
) => Promise<Engine>;

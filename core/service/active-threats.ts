/** Malware that runs and could not be stopped: where policy says so, its VM stands still until somebody looks at it. */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { type LiveSettings, settingsFor } from '../config/index.ts';
import { describeError } from '../error.ts';
import type { Records } from '../services.ts';
import type { Guests } from './guests.ts';
import type { ScanJob } from './scan-job.ts';
import type { VmActions } from './vm-actions.ts';

export interface ActiveThreatsParts {
  readonly settings: LiveSettings;
  readonly guests: () => Pick<Guests, 'sourceOf'>;
  readonly vmActions: Pick<VmActions, 'perform'>;
  readonly records: { readonly findings: Pick<Records['findings'], 'hasRunning'> };
  readonly logger: Logger;
}

type AnsweredScan = Pick<ScanJob, 'id' | 'state' | 'order'>;

export class ActiveThreats {
  private readonly parts: ActiveThreatsParts;

  constructor(parts: ActiveThreatsParts) {
    this.parts = parts;
  }

  /**
   * To be called when a scan has ended. One that failed counts as well: else a guest had but to break it off to go on.
   * Does not reject.
   */
  async answer({ id: scan, state, order: { vm, dryRun } }: AnsweredScan): Promise<void> {
    const { settings, guests, logger, records } = this.parts;
    if (dryRun || (state !== 'finished' && state !== 'failed')) return;
    if (settingsFor(settings.current, vm).policy.onActiveThreat !== 'pause') return;
    const name = displayText(vm.name);
    const facts = { vm: vm.id, scan };
    try {
      if (!records.findings.hasRunning(scan)) return;
      const { control } = guests().sourceOf(vm.id);
      if (!control) {
        logger.warn(
          `${name} has malware that runs, and cannot be paused: it is known by its socket only`,
          facts,
        );
        return;
      }
      const requester = { kind: 'policy', rule: 'onActiveThreat: pause', scan } as const;
      await this.parts.vmActions.perform({ vm, action: 'pause', requester }, control);
      logger.warn(
        `${name} is paused: malware runs in it that could not be stopped (lazaret vm resume ${name})`,
        facts,
      );
    } catch (error) {
      const { code, message } = describeError(error);
      logger.warn(`${name} has malware that runs, and could not be paused: ${message}`, { ...facts, code });
    }
  }
}

/** Malware that runs and could not be stopped: where policy says so, its VM stands still until somebody looks at it. */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { type LiveSettings, settingsFor } from '../config/index.ts';
import { describeError } from '../error.ts';
import type { ScanReport } from '../scan/report.ts';
import type { FindingRecord } from '../store/records.ts';
import type { Guests } from './guests.ts';

export interface ActiveThreatsParts {
  readonly settings: LiveSettings;
  readonly guests: () => Pick<Guests, 'sourceOf'>;
  readonly logger: Logger;
}

export class ActiveThreats {
  private readonly parts: ActiveThreatsParts;

  constructor(parts: ActiveThreatsParts) {
    this.parts = parts;
  }

  /** To be called with what each scan came to. Does not reject. */
  async answer({ vm, scan, findings }: ScanReport): Promise<void> {
    const { settings, guests, logger } = this.parts;
    const threat = scan.dryRun ? undefined : findings.find(isActive);
    if (threat === undefined || settingsFor(settings.current, vm).policy.onActiveThreat !== 'pause') return;
    const name = displayText(vm.name);
    const facts = { vm: vm.id, finding: threat.id };
    try {
      const { control } = guests().sourceOf(vm.id);
      if (!control) {
        logger.warn(
          `${name} has malware that runs, and cannot be paused: it is known by its socket only`,
          facts,
        );
        return;
      }
      await control.pause(vm.id);
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

const isActive = ({ judgement, subject, response }: FindingRecord): boolean =>
  judgement === 'malicious' &&
  subject.kind === 'process' &&
  (response === 'reported' || response === 'failed');

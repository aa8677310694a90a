/**
 * What the log has of findings: what was found where, and what was done about it, as a warning. Once for each state of
 * a finding: a rescan that meets it again as it was says nothing. A guest full of malware has so many lines a scan, and
 * then a count.
 */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { shown } from '../events/objects.ts';
import type { FindingRecord, VmRecord } from '../store/records.ts';

export const MOST_LINES = 100;
const MOST_SCANS = 1_000;

interface Told {
  readonly name: string;
  lines: number;
  leftOut: number;
}

export class FindingLog {
  private readonly logger: Logger;
  /** By scan, until it has ended. */
  private readonly scans = new Map<string, Told>();

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** `before`: as it was kept before it was answered now. */
  answered(now: FindingRecord, before: FindingRecord | undefined, vm: VmRecord): void {
    if (before && isAsBefore(now, before)) return;
    const told = this.ofScan(now.scan, vm.name);
    if (told.lines >= MOST_LINES) {
      told.leftOut += 1;
      return;
    }
    told.lines += 1;
    const { subject, response, reason } = now;
    const name = displayText(vm.name);
    const path = shown(subject.kind === 'file' ? subject.path : subject.executable);
    const what = subject.kind === 'file' ? path : `process ${subject.pid} (${path})`;
    const signatures = now.detections.map(
      ({ detector, name: signature }) => `${detector}: ${displayText(signature)}`,
    );
    const why = reason === undefined ? '' : ` (${displayText(reason)})`;
    this.logger.warn(`${now.judgement} in ${name}: ${what}: ${signatures.join(', ')}: ${response}${why}`, {
      ...{ vm: now.vm, name, scan: now.scan, finding: now.id },
      ...{ path, signatures, response, ...(reason !== undefined && { reason: displayText(reason) }) },
    });
  }

  /** What was left out is counted. */
  scanEnded(scan: string): void {
    const told = this.scans.get(scan);
    this.scans.delete(scan);
    if (!told || told.leftOut === 0) return;
    const name = displayText(told.name);
    const next = `lazaret findings --vm ${name}`;
    this.logger.warn(`${told.leftOut} more findings in ${name} are not in this log: ${next} shows all`, {
      scan,
    });
  }

  /** What is answered after the end of its scan, at the next connection, has no end that would forget it. */
  private ofScan(scan: string, name: string): Told {
    const told = this.scans.get(scan) ?? { name, lines: 0, leftOut: 0 };
    this.scans.set(scan, told);
    const [oldest] = this.scans.keys();
    if (this.scans.size > MOST_SCANS && oldest !== undefined) this.scans.delete(oldest);
    return told;
  }
}

/** Nothing was done now, and all is as it was told. */
function isAsBefore(now: FindingRecord, before: FindingRecord): boolean {
  const wasActedUpon = now.response !== 'reported' && now.response !== 'failed';
  return !wasActedUpon && stateOf(now) === stateOf(before);
}

const stateOf = ({ judgement, detections, response, reason }: FindingRecord): string =>
  JSON.stringify([
    judgement,
    detections.map(({ detector, name }) => [detector, name]),
    response,
    reason ?? null,
  ]);

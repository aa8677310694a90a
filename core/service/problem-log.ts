/**
 * What the log has of that with which scans end although they could be carried out: rules that were left out, packs that
 * are not in use. Nobody reads the report of a scan that the schedule began. Each is said once, and again after a scan
 * that did not meet it.
 */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import type { ScanReport } from '../scan/report.ts';

/** A tree of broken rules has as many problems as rules. */
export const MOST_PROBLEMS = 100;

type Problems = ScanReport['problems'];

export class ProblemLog {
  private readonly logger: Logger;
  private told: ReadonlySet<string> = new Set();
  private more = 0;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** Those of a scan that was carried out. */
  scanEnded(scan: string, vm: string, problems: Problems): void {
    const before = this.told;
    const named = problems.slice(0, MOST_PROBLEMS);
    this.told = new Set(named.map(keyOf));
    for (const problem of named) if (!before.has(keyOf(problem))) this.tell(scan, vm, problem);
    const more = problems.length - named.length;
    if (more > this.more) this.logger.warn(`${more} more such problems are not in this log`, { scan });
    this.more = more;
  }

  private tell(scan: string, vm: string, { detector, file, line, message }: Problems[number]): void {
    const place = line === undefined ? file : `${file}:${line}`;
    const said = `${displayText(place)}: ${displayText(message)} (${detector})`;
    this.logger.warn(`the scan of ${displayText(vm)} has a problem: ${said}`, {
      scan,
      detector,
      file: place,
    });
  }
}

const keyOf = ({ detector, file, line, message }: Problems[number]): string =>
  JSON.stringify([detector, file, line ?? 0, message]);

/** What came of the scan of one guest, however it was carried out. */
import type { ScanReport } from '../scan/report.ts';
import { EXIT } from './exit.ts';
import type { Run } from './run.ts';
import { foundCount, isIncomplete, problemLines, renderReport } from './scan-report.ts';
import { harmless } from './text.ts';

/** To be told when it is its turn. */
export interface ScanOutcome {
  readonly code: number;
  tell(): void;
}

export const reported = (run: Run, report: ScanReport, dryRun: boolean): ScanOutcome => ({
  code: exitCodeOfReport(report),
  tell: () => show(run, report, dryRun),
});

export const notScanned = (run: Run, vm: string, error: unknown): ScanOutcome => ({
  code: EXIT.incomplete,
  tell: () => {
    run.note(`${harmless(vm)}: not scanned to the end`);
    run.printError(error);
  },
});

/** Those whose turn had not come when all was interrupted. */
export const notBegun: ScanOutcome = { code: EXIT.incomplete, tell: () => undefined };

/** Tells each as soon as it has ended and those before it were told; gives the exit code of all. */
export async function tellInTurn(endings: readonly Promise<ScanOutcome>[]): Promise<number> {
  let code: number = EXIT.ok;
  for (const ending of endings) {
    const outcome = await ending;
    outcome.tell();
    code = Math.max(code, outcome.code);
  }
  return code;
}

/** Programs get events on stdout; what no event tells goes to stderr. */
function show(run: Run, report: ScanReport, dryRun: boolean): void {
  run.progress.clear();
  if (run.json) for (const line of problemLines(report, run.paintNote)) run.note(line);
  else
    run.io.stdout.write(
      renderReport(report, {
        width: run.io.stdout.columns,
        paint: run.paint,
        dryRun,
        state: run.options.state,
      }),
    );
}

/** See exit.ts. */
export function exitCodeOfReport(report: ScanReport): number {
  if (isIncomplete(report)) return EXIT.incomplete;
  return foundCount(report) > 0 ? EXIT.found : EXIT.ok;
}

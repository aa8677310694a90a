/** Scan Activity [6007]: https://schema.ocsf.io/1.6.0/classes/scan_activity */
import { addCounts, displayText } from '../../protocol/index.ts';
import type { LeftOut } from '../scan/report.ts';
import type { ScanRecord, ScanSummary, VmRecord } from '../store/records.ts';
import { type Enumerated, enumerated, eventOf, SEVERITY } from './envelope.ts';
import { deviceObject, scanObject } from './objects.ts';
import type { OcsfEvent } from './sink.ts';

/** How a scan ended. `cancelled`: by whoever started it. `failed`: for a reason, which is said to people. */
export type ScanOutcome =
  | { readonly kind: 'completed' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly reason: string };

/** File systems that one event names. */
const NAMED = 100;
const CATEGORY: Enumerated = [6, 'Application Activity'];
const CLASS: Enumerated = [6007, 'Scan Activity'];
const STARTED: Enumerated = [1, 'Started'];
const ACTIVITIES = {
  completed: [2, 'Completed'],
  cancelled: [3, 'Cancelled'],
  failed: [6, 'Error'],
} as const satisfies Record<ScanOutcome['kind'], Enumerated>;

const SUCCESS: Enumerated = [1, 'Success'];
const FAILURE: Enumerated = [2, 'Failure'];
/** Something has no verdict: neither of the two above. */
const INCOMPLETE: Enumerated = [99, 'Incomplete'];

export function scanStarted(scan: ScanRecord, vm: VmRecord): OcsfEvent {
  const envelope = { activity: STARTED, severity: SEVERITY.informational, time: scan.startedAt };
  return scanEvent(scan, vm, { ...envelope, message: `scan of ${displayText(vm.name)} started` }, {});
}

/** `leftOut`: file systems that policy leaves out. TypeError when the scan has not ended. */
export function scanEnded(
  scan: ScanRecord,
  vm: VmRecord,
  outcome: ScanOutcome,
  leftOut: readonly LeftOut[] = [],
): OcsfEvent {
  const { startedAt, finishedAt, summary } = scan;
  if (finishedAt === undefined) throw new TypeError(`the scan ${scan.id} has not ended`);
  const activity = ACTIVITIES[outcome.kind];
  const severity = outcome.kind === 'failed' ? SEVERITY.medium : SEVERITY.informational;
  const message = `scan of ${displayText(vm.name)} ended: ${outcome.kind}`;
  return scanEvent(
    scan,
    vm,
    { activity, severity, time: finishedAt, message },
    {
      end_time: finishedAt,
      duration: Math.max(0, finishedAt - startedAt),
      ...statusOf(outcome, summary),
      ...(summary && countsOf(summary)),
      ...(leftOut.length > 0 && { unmapped: unmappedOf(leftOut) }),
    },
  );
}

function scanEvent(
  { id, mode, startedAt }: ScanRecord,
  vm: VmRecord,
  envelope: Pick<Parameters<typeof eventOf>[0], 'activity' | 'severity' | 'time' | 'message'>,
  attributes: Readonly<Record<string, unknown>>,
): OcsfEvent {
  return eventOf(
    { ...envelope, category: CATEGORY, class: CLASS, profiles: ['host'], scan: id },
    {
      device: deviceObject(vm),
      scan: scanObject(id),
      policy: { name: mode, type: 'mode', is_applied: true },
      start_time: startedAt,
      ...attributes,
    },
  );
}

function statusOf(outcome: ScanOutcome, summary: ScanSummary | undefined): Record<string, unknown> {
  if (outcome.kind === 'failed') {
    return { ...enumerated('status', FAILURE), status_detail: displayText(outcome.reason) };
  }
  if (outcome.kind === 'cancelled') return enumerated('status', FAILURE);
  const reasons = Object.entries(summary?.unscanned ?? {}).filter(([, count]) => count > 0);
  if (reasons.length === 0) return enumerated('status', SUCCESS);
  const status_detail = `not scanned: ${reasons.map(([reason, count]) => `${count} ${reason}`).join(', ')}`;
  return { ...enumerated('status', INCOMPLETE), status_detail };
}

/** OCSF has no word for what policy leaves out. */
const unmappedOf = (leftOut: readonly LeftOut[]) => ({
  left_out_file_systems: leftOut.slice(0, NAMED).map(({ path, type }) => ({ path, type })),
  num_left_out_file_systems: leftOut.length,
});

const countsOf = ({ processes, malicious, suspicious, unscanned, ...of }: ScanSummary) => ({
  num_files: of.files,
  num_processes: processes,
  num_trusted_items: of.unchanged + of.claimed,
  total: addCounts(of.files, processes),
  num_detections: malicious + suspicious,
  num_skipped_items: Object.values(unscanned).reduce(addCounts, 0),
});

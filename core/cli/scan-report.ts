/** A scan's result for people. */

import { addCounts, MOST_COUNTED } from '../../protocol/index.ts';
import { otherNames } from '../events/other-names.ts';
import type { ScanReport, Unscanned } from '../scan/report.ts';
import type { FindingRecord, ScanSummary } from '../store/records.ts';
import { formatBytes, formatCount, formatDuration, formatNumber } from './format.ts';
import type { Paint, Shade } from './style.ts';
import { detectionsText, judgementShade, subjectText } from './subject.ts';
import { harmless, shorten } from './text.ts';

/** Unscanned things that are named for each reason. */
const NAMED = 5;

export interface ReportStyle {
  /** Leave out what the reader could do next. */
  readonly withoutHints?: boolean;
  readonly width: number;
  readonly paint: Paint;
  readonly dryRun: boolean;
  /** As named on the command line: the next command must name it as well. */
  readonly state?: string | undefined;
}

/** Lines, each ended by a newline. */
export function renderReport(report: ScanReport, style: ReportStyle): string {
  const sections = [
    [...totals(report, style), ...followedLines(report, style.paint), ...suspension(report, style)],
    findings(report, style),
    unscanned(report, style),
    leftOut(report, style),
    problemLines(report, style.paint),
    [...conclusion(report, style), ...(style.withoutHints ? [] : nextSteps(report, style))],
  ];
  const lines = sections.filter((lines) => lines.length > 0).map((lines) => `${lines.join('\n')}\n`);
  return lines.join('\n');
}

/** Whether something was left without a verdict, or an action failed. */
export const isIncomplete = (report: ScanReport): boolean => gaps(report).length > 0;

/** What a scan lacks, in words. */
function gaps({ scan, problems, findings }: ScanReport): string[] {
  const unscanned = scan.state !== 'finished' || unscannedCount(scan.summary?.unscanned) > 0;
  const named = findings.filter(({ response }) => response === 'failed' || response === 'unknown').length;
  const failed = scan.summary?.failed ?? named;
  return [
    unscanned ? 'not everything was scanned' : '',
    !unscanned && problems.length > 0 ? 'not all signatures are there and up to date' : '',
    failed > 0 ? `what should be done about ${formatNumber(failed, 'finding')} failed` : '',
  ].filter(Boolean);
}

const unscannedCount = (reasons: Readonly<Record<string, number>> = {}): number =>
  Object.values(reasons).reduce(addCounts, 0);

function totals({ vm, scan }: ScanReport, { paint }: ReportStyle): string[] {
  const name = paint('strong', harmless(vm.name));
  const { summary, startedAt, finishedAt } = scan;
  if (!summary || finishedAt === undefined) return [`${name}: the scan did not finish`];
  const elapsed = finishedAt - startedAt;
  // Of a sum that is only known to be at least so large there is no rate.
  const isCounted = elapsed > 0 && summary.bytes < MOST_COUNTED;
  const rate = isCounted ? `, ${formatBytes(Math.round((summary.bytes * 1000) / elapsed))}/s` : '';
  const what = [
    formatNumber(summary.files, 'file') + knownText(summary),
    formatBytes(summary.bytes),
    formatNumber(summary.processes, 'process', 'processes'),
  ].join(', ');
  return [`${name}: ${what} in ${formatDuration(elapsed)}${rate}`];
}

/** Roots that were links: where was looked in their stead. */
export const followedLines = ({ followed = [] }: ScanReport, paint: Paint): string[] =>
  followed.map(
    ({ path, target }) =>
      `${paint('faint', 'looked in')}  ${harmless(target)}: ${harmless(path)} -> ${harmless(target)}`,
  );

function suspension({ vm: { name, suspended } }: ScanReport, { paint }: ReportStyle): string[] {
  if (!suspended) return [];
  const until = `nothing is done to it until it is enrolled again (lazaret enrol ${harmless(name)})`;
  return [`${paint('warning', 'suspended')}  ${until}: ${harmless(suspended.reason)}`];
}

/** Files that were not fetched, and why not. */
function knownText({ unchanged, claimed }: ScanSummary): string {
  const parts = [
    unchanged > 0 ? `${formatCount(unchanged)} unchanged` : '',
    claimed > 0 ? `${formatCount(claimed)} known by the hash that the agent gave` : '',
  ].filter(Boolean);
  return parts.length > 0 ? ` (${parts.join(', ')})` : '';
}

function findings(report: ScanReport, style: ReportStyle): string[] {
  const { width, paint } = style;
  const more = foundCount(report) - report.findings.length;
  const rest = `and ${formatNumber(more, 'more', 'more')}: lazaret findings --scan ${report.scan.id}${stateOption(style)}`;
  const named = report.findings.flatMap((finding) => [
    `${paint(judgementShade(finding), finding.judgement)}  ${shorten(subjectText(finding.subject), width - finding.judgement.length - 2)}`,
    `  found by ${shorten(detectionsText(finding), width - 11)}`,
    `  ${style.dryRun ? plannedText(report, finding) : responseText(finding, paint)}`,
    ...namesLines(finding, paint),
  ]);
  return more > 0 ? [...named, rest] : named;
}

/** All that was found; the report names the first ones. */
export const foundCount = (report: ScanReport): number => {
  const { malicious, suspicious } = countsOf(report);
  return malicious + suspicious;
};

function countsOf({ scan: { summary }, findings }: ScanReport): { malicious: number; suspicious: number } {
  const named = (judgement: string) => findings.filter((finding) => finding.judgement === judgement).length;
  const malicious = Math.max(summary?.malicious ?? 0, named('malicious'));
  return { malicious, suspicious: Math.max(summary?.suspicious ?? 0, named('suspicious')) };
}

const RESPONSE_SHADES: Readonly<Record<FindingRecord['response'], Shade>> = {
  reported: 'warning',
  stopped: 'good',
  contained: 'good',
  deleted: 'good',
  failed: 'bad',
  unknown: 'bad',
};

function responseText({ response, reason }: FindingRecord, paint: Paint): string {
  const because = reason ? `: ${harmless(reason)}` : '';
  return paint(RESPONSE_SHADES[response], response) + because;
}

/** A name that was not found keeps the content in the guest, whatever was done about those that were. */
function namesLines(finding: FindingRecord, paint: Paint): string[] {
  const text = otherNames(finding);
  return text === undefined ? [] : [`  ${paint('warning', 'hard links')}: ${text}`];
}

/** What would be done about a finding, and what would not and why. */
function plannedText({ plan }: ScanReport, { id }: FindingRecord): string {
  const steps = plan.steps.filter(({ finding }) => finding === id).map(({ step }) => step.instruction);
  const reasons = plan.withheld.filter(({ finding }) => finding === id).map(({ reason }) => harmless(reason));
  const would =
    steps.length > 0 ? `would be answered with ${steps.join(', then ')}` : 'would be reported only';
  return reasons.length > 0 ? `${would}: ${reasons.join('; ')}` : would;
}

function unscanned({ scan, unscanned }: ScanReport, { width, paint }: ReportStyle): string[] {
  const reasons = Object.entries(scan.summary?.unscanned ?? {}).filter(([, count]) => count > 0);
  return reasons.flatMap(([reason, count]) => {
    const named = unscanned.filter((one) => one.reason === reason).slice(0, NAMED);
    const more = count - named.length;
    return [
      `${paint('warning', 'unscanned')}  ${formatNumber(count, 'subject')}: ${harmless(reason)}`,
      ...named.map((one) => `  ${unscannedText(one, width - 2)}`),
      ...(more > 0 && named.length > 0 ? [`  and ${formatNumber(more, 'more', 'more')}`] : []),
    ];
  });
}

/** What policy leaves out is not lacking, but is said. */
function leftOut({ leftOut }: ScanReport, { width, paint }: ReportStyle): string[] {
  if (leftOut.length === 0) return [];
  const named = leftOut.slice(0, NAMED).map(({ path, type }) => {
    const tail = ` (${shorten(harmless(type), Math.floor(width / 2))})`;
    return `  ${shorten(harmless(path), width - 2 - tail.length)}${tail}`;
  });
  const more = leftOut.length - named.length;
  return [
    `${paint('warning', 'left out')}  ${formatNumber(leftOut.length, 'file system')} that policy.fileSystems does not name`,
    ...named,
    ...(more > 0 ? [`  and ${formatNumber(more, 'more', 'more')}`] : []),
  ];
}

function unscannedText({ path, detail }: Unscanned, width: number): string {
  const because = detail ? ` (${shorten(harmless(detail), Math.floor(width / 2))})` : '';
  return shorten(harmless(path), width - because.length) + because;
}

/** Signatures that were left out, with file and line; packs that are damaged or old. */
export function problemLines({ problems }: ScanReport, paint: Paint): string[] {
  return problems.map(({ detector, file, line, message }) => {
    const place = line === undefined ? file : `${file}:${line}`;
    const what = detector === 'packs' ? 'warning' : 'left out';
    return `${paint('warning', what)}  ${harmless(place)}: ${harmless(message)} (${harmless(detector)})`;
  });
}

function conclusion(report: ScanReport, { paint }: ReportStyle): string[] {
  const found = foundCount(report);
  const gap = gaps(report).join('; ');
  if (found === 0) {
    return [gap ? paint('warning', `nothing found, but ${gap}`) : paint('good', 'clean')];
  }
  const { malicious, suspicious } = countsOf(report);
  const kinds = [
    malicious > 0 ? `${formatCount(malicious)} malicious` : '',
    suspicious > 0 ? `${formatCount(suspicious)} suspicious` : '',
  ].filter(Boolean);
  const text = `${kinds.join(', ')}${gap ? `; ${gap}` : ''}`;
  return [paint('bad', text)];
}

const stateOption = ({ state }: ReportStyle): string =>
  state === undefined ? '' : ` --state ${harmless(state)}`;

function nextSteps({ vm, scan, findings }: ScanReport, style: ReportStyle): string[] {
  const name = harmless(vm.name) + stateOption(style);
  const { dryRun } = style;
  if (dryRun && findings.length > 0)
    return [`nothing was changed; to carry it out: the same command without --dry-run`];
  if (findings.some(({ response }) => response === 'contained')) {
    return [`to see or undo what was contained: lazaret quarantine list --vm ${name}`];
  }
  if (scan.mode === 'detect' && findings.length > 0) {
    return [`nothing was changed; to see what could be done: --mode contain --dry-run`];
  }
  return [];
}

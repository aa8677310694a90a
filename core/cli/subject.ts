/** Findings and their subjects as text. */
import type { FindingRecord, FindingSubject } from '../store/records.ts';
import type { Shade } from './style.ts';
import { displayWire, harmless } from './text.ts';

/** Of the 64 digits of a container's id, what its runtime shows too. */
const SHORT_ID = 12;
const FULL_ID = /^[0-9a-f]{64}$/;

/** `/tmp/x`, `process 123 (/usr/bin/x)`, or `process 123 (/usr/bin/x in docker 0123456789ab)` */
export function subjectText(subject: FindingSubject): string {
  if (subject.kind === 'file') return displayWire(subject.path);
  return `process ${subject.pid} (${displayWire(subject.executable)}${placeText(subject)})`;
}

function placeText({ namespace, container }: Extract<FindingSubject, { kind: 'process' }>): string {
  if (!container) return namespace === 'foreign' ? ' in a mount namespace of its own' : '';
  const { runtime, id } = container;
  return ` in ${harmless(runtime)} ${harmless(FULL_ID.test(id) ? id.slice(0, SHORT_ID) : id)}`;
}

/** `yara: Some_Rule, Other_Rule; hashset: …` */
export function detectionsText({ detections }: Pick<FindingRecord, 'detections'>): string {
  const names = new Map<string, string[]>();
  for (const { detector, name } of detections) {
    names.set(detector, [...(names.get(detector) ?? []), harmless(name)]);
  }
  return Array.from(names, ([detector, found]) => `${harmless(detector)}: ${found.join(', ')}`).join('; ');
}

export const judgementShade = ({ judgement }: Pick<FindingRecord, 'judgement'>): Shade =>
  judgement === 'malicious' ? 'bad' : 'warning';

/** A finding for programs. Paths and names are escaped for display, which can be undone (`\xNN` is one byte). */
export function findingJson(finding: FindingRecord): unknown {
  const { subject } = finding;
  const shown =
    subject.kind === 'file'
      ? { ...subject, path: displayWire(subject.path) }
      : { ...subject, name: displayWire(subject.name), executable: displayWire(subject.executable) };
  return { ...finding, subject: shown };
}

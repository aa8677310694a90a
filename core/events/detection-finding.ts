/** Detection Finding [2004]: https://schema.ocsf.io/1.6.0/classes/detection_finding */
import { displayText } from '../../protocol/index.ts';
import type { FindingRecord, VmRecord } from '../store/records.ts';
import { ACTION, DISPOSITION, type Enumerated, enumerated, eventOf, SEVERITY } from './envelope.ts';
import {
  analyticObjects,
  attackObjects,
  containerObject,
  deviceObject,
  fileObject,
  malwareObjects,
  type OcsfObject,
  processObject,
  resourceObject,
  shown,
} from './objects.ts';
import type { OcsfEvent } from './sink.ts';

const CATEGORY: Enumerated = [2, 'Findings'];
const CLASS: Enumerated = [2004, 'Detection Finding'];
const CREATE: Enumerated = [1, 'Create'];
const UPDATE: Enumerated = [2, 'Update'];

const NEW: Enumerated = [1, 'New'];
const RESOLVED: Enumerated = [4, 'Resolved'];

const JUDGEMENTS = {
  malicious: { severity: SEVERITY.high, confidence: [3, 'High'] },
  suspicious: { severity: SEVERITY.medium, confidence: [2, 'Medium'] },
} as const satisfies Record<
  FindingRecord['judgement'],
  { readonly severity: Enumerated; readonly confidence: Enumerated }
>;

interface Response {
  readonly action: Enumerated;
  readonly disposition: Enumerated;
  readonly status: Enumerated;
}
const RESPONSES: Readonly<Record<FindingRecord['response'], Response>> = {
  reported: { action: ACTION.observed, disposition: DISPOSITION.detected, status: NEW },
  stopped: { action: ACTION.denied, disposition: DISPOSITION.blocked, status: RESOLVED },
  contained: { action: ACTION.denied, disposition: DISPOSITION.quarantined, status: RESOLVED },
  deleted: { action: ACTION.denied, disposition: DISPOSITION.deleted, status: RESOLVED },
  failed: { action: ACTION.observed, disposition: DISPOSITION.uncorrected, status: NEW },
  unknown: { action: ACTION.observed, disposition: DISPOSITION.unknown, status: NEW },
};

/**
 * A finding as it is kept now: created when the first scan meets it, updated when it has been answered and by
 * every later scan.
 */
export function detectionFinding(finding: FindingRecord, vm: VmRecord): OcsfEvent {
  const { judgement, reason, lastSeen } = finding;
  const { severity, confidence } = JUDGEMENTS[judgement];
  const { action, disposition, status } = RESPONSES[finding.response];
  const title = titleOf(finding);
  return eventOf(
    {
      category: CATEGORY,
      class: CLASS,
      activity: isNew(finding) ? CREATE : UPDATE,
      severity,
      time: lastSeen,
      profiles: ['host', 'security_control'],
      scan: finding.scan,
      message: `${judgement}: ${title}: ${finding.response}`,
    },
    {
      device: deviceObject(vm),
      resources: [resourceObject(vm)],
      finding_info: findingInfo(finding, title),
      evidences: [evidence(finding)],
      malware: malwareObjects(finding),
      ...enumerated('confidence', confidence),
      ...enumerated('action', action),
      ...enumerated('disposition', disposition),
      ...enumerated('status', status),
      ...(reason !== undefined && { status_detail: displayText(reason) }),
      is_alert: judgement === 'malicious',
    },
  );
}

const isNew = ({ firstSeen, lastSeen, response, reason }: FindingRecord): boolean =>
  firstSeen === lastSeen && response === 'reported' && reason === undefined;

/** `Some_Rule in /tmp/x`, or `Some_Rule in process 123 (/usr/bin/x)` */
function titleOf({ subject, detections, judgement }: FindingRecord): string {
  const name = displayText(detections[0]?.name ?? judgement);
  if (subject.kind === 'file') return `${name} in ${shown(subject.path)}`;
  return `${name} in process ${subject.pid} (${shown(subject.executable)})`;
}

function findingInfo(finding: FindingRecord, title: string): OcsfObject {
  const [analytic, ...related] = analyticObjects(finding);
  const attacks = attackObjects(finding);
  return {
    uid: finding.id,
    title,
    ...(analytic && { analytic }),
    ...(related.length > 0 && { related_analytics: related }),
    ...(attacks.length > 0 && { attacks }),
    data_sources: [...new Set(finding.detections.map(({ detector }) => displayText(detector)))],
    types: [finding.judgement],
    created_time: finding.firstSeen,
    first_seen_time: finding.firstSeen,
    modified_time: finding.lastSeen,
    last_seen_time: finding.lastSeen,
  };
}

/** What the engines looked at, and what each of them said. */
function evidence({ subject, detections }: FindingRecord): OcsfObject {
  const data = detections.map(({ detector, judgement, name, source }) => ({
    detector: displayText(detector),
    judgement,
    name: displayText(name),
    ...(source !== undefined && { source: displayText(source) }),
  }));
  return subject.kind === 'file'
    ? { file: fileObject(subject.path, subject), data: { detections: data } }
    : {
        process: processObject(subject),
        ...(subject.container && { container: containerObject(subject.container) }),
        data: { detections: data },
      };
}

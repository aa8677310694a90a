/** From verdicts to findings: what is kept, and what remediations are asked about. */
import { createHash } from 'node:crypto';
import type { FileTarget, WireBytes } from '../../protocol/index.ts';
import type { Finding, Judgement, ProcessTarget } from '../api/index.ts';
import type { FindingRecord, FindingSubject } from '../store/records.ts';
import type { Judged } from './contents.ts';
import type { FileItem } from './inventory.ts';
import { type RunningProcess, targetOf } from './processes.ts';
import type { AttributedDetection, Verdict } from './verdict.ts';

/** A finding as it is kept, and as remediations see it. */
export interface Found {
  readonly record: FindingRecord;
  readonly actionable: Finding;
}

/** What a record says besides its subject. */
export interface Circumstances {
  readonly vm: string;
  readonly scan: string;
  readonly at: number;
}

type Guilty = Extract<Verdict, { detections: unknown }>;

export const isFound = (verdict: Verdict): verdict is Guilty => 'detections' in verdict;

/** The finding of a fetched file; `runBy` are the processes that run it. */
export function fileFinding(
  { item, opened }: { readonly item: FileItem; readonly opened: NonNullable<Judged<unknown>['opened']> },
  verdict: Guilty,
  runBy: readonly ProcessTarget[],
  circumstances: Circumstances,
): Found {
  const { facts, content } = opened;
  const { sha256 } = content.digests;
  const path = item.path.wire;
  const file: FileTarget = { path, dev: facts.dev, ino: facts.ino, sha256 };
  const record = recordOf({ kind: 'file', path, sha256, size: content.size }, verdict, circumstances);
  return { record, actionable: { ...common(record), kind: 'file', file, runBy } };
}

export function processFinding(
  process: RunningProcess,
  verdict: Guilty,
  circumstances: Circumstances,
): Found {
  const { pid, start, uid, name, executable, namespace, container } = process;
  const subject: FindingSubject = {
    ...{ kind: 'process', pid, start, uid, name, executable: executable.path },
    ...(namespace === 'foreign' && { namespace }),
    ...(container && { container }),
  };
  const record = recordOf(subject, verdict, circumstances);
  return { record, actionable: { ...common(record), kind: 'process', process: targetOf(process) } };
}

function recordOf(
  subject: FindingSubject,
  verdict: { readonly state: Judgement; readonly detections: readonly AttributedDetection[] },
  { vm, scan, at }: Circumstances,
): FindingRecord {
  const { state: judgement, detections } = verdict;
  const id = findingId(vm, subject);
  return { id, vm, scan, firstSeen: at, lastSeen: at, judgement, subject, detections, response: 'reported' };
}

const common = ({ id, judgement, detections }: FindingRecord) => ({ id, judgement, detections });

/** The same subject of the same guest has the same id in every scan. */
function findingId(vm: string, subject: FindingSubject): string {
  const identity: readonly (string | number | WireBytes)[] =
    subject.kind === 'file'
      ? [subject.path, subject.sha256]
      : [subject.pid, subject.start, subject.executable];
  const digest = createHash('sha256')
    .update(JSON.stringify([vm, subject.kind, ...identity]))
    .digest('hex');
  return digest.slice(0, 32);
}

/**
 * File Remediation Activity [7002] and Process Remediation Activity [7003]:
 * https://schema.ocsf.io/1.6.0/classes/file_remediation_activity. Activities are the tactics of MITRE D3FEND.
 */
import { displayText, INSTRUCTIONS, type Instruction } from '../../protocol/index.ts';
import type { ActionRecord, FindingRecord, RecordedOutcome, VmRecord } from '../store/records.ts';
import { ACTION, DISPOSITION, type Enumerated, enumerated, eventOf, SEVERITY } from './envelope.ts';
import {
  attackObjects,
  deviceObject,
  fileObject,
  malwareObjects,
  type OcsfObject,
  processObject,
  processUid,
  scanObject,
  shown,
} from './objects.ts';
import type { OcsfEvent } from './sink.ts';

const CATEGORY: Enumerated = [7, 'Remediation'];
const FILE: Enumerated = [7002, 'File Remediation Activity'];
const PROCESS: Enumerated = [7003, 'Process Remediation Activity'];

const TACTIC = {
  isolate: [1, 'Isolate'],
  evict: [2, 'Evict'],
  restore: [3, 'Restore'],
  harden: [4, 'Harden'],
} as const satisfies Record<string, Enumerated>;

interface Countermeasure {
  readonly tactic: Enumerated;
  /** The name of the instruction's D3FEND technique. */
  readonly technique: string;
  /** When it is done. */
  readonly action: Enumerated;
  readonly disposition: Enumerated;
}
const COUNTERMEASURES: Readonly<Record<Instruction['name'], Countermeasure>> = {
  'stop:process': {
    tactic: TACTIC.evict,
    technique: 'Process Termination',
    action: ACTION.denied,
    disposition: DISPOSITION.blocked,
  },
  'contain:file': {
    tactic: TACTIC.isolate,
    technique: 'Content Quarantine',
    action: ACTION.denied,
    disposition: DISPOSITION.quarantined,
  },
  'delete:file': {
    tactic: TACTIC.evict,
    technique: 'File Eviction',
    action: ACTION.denied,
    disposition: DISPOSITION.deleted,
  },
  'restore:file': {
    tactic: TACTIC.restore,
    technique: 'Restore File',
    action: ACTION.allowed,
    disposition: DISPOSITION.restored,
  },
  'update:file': {
    tactic: TACTIC.harden,
    technique: 'Software Update',
    action: ACTION.modified,
    disposition: DISPOSITION.corrected,
  },
};

const OPEN: Enumerated = [0, 'Unknown'];
const SUCCESS: Enumerated = [1, 'Success'];
const FAILURE: Enumerated = [2, 'Failure'];
const DOES_NOT_EXIST: Enumerated = [3, 'Does Not Exist'];
const UNSUPPORTED: Enumerated = [5, 'Unsupported'];
const ERROR: Enumerated = [6, 'Error'];
const STATUSES: Readonly<Record<RecordedOutcome['code'], Enumerated>> = {
  done: SUCCESS,
  'not-granted': UNSUPPORTED,
  denied: UNSUPPORTED,
  expired: FAILURE,
  'wrong-epoch': FAILURE,
  malformed: ERROR,
  'not-staged': FAILURE,
  protected: FAILURE,
  vanished: DOES_NOT_EXIST,
  changed: FAILURE,
  occupied: FAILURE,
  failed: ERROR,
  interrupted: ERROR,
  unknown: OPEN,
};

/** One command and what came of it; its status is Unknown while the guest has not answered. */
export function remediation(action: ActionRecord, vm: VmRecord, finding?: FindingRecord): OcsfEvent {
  const { id, instruction, outcome } = action;
  const { tactic, ...countermeasure } = COUNTERMEASURES[instruction.name];
  const done = outcome?.code === 'done';
  return eventOf(
    {
      category: CATEGORY,
      class: instruction.name === 'stop:process' ? PROCESS : FILE,
      activity: tactic,
      severity: done || !outcome ? SEVERITY.informational : SEVERITY.medium,
      time: action.outcomeAt ?? action.intentAt,
      profiles: ['host', 'security_control'],
      scan: finding?.scan,
      tags: {
        'instruction set': action.instructionSet,
        ...(action.finding !== undefined && { finding: action.finding }),
      },
      message: `${instruction.name}: ${outcome?.code ?? 'not answered yet'}`,
    },
    {
      command_uid: id,
      device: deviceObject(vm),
      ...targetOf(instruction, finding),
      countermeasures: [countermeasureObject(instruction.name)],
      start_time: action.intentAt,
      ...statusOf(action),
      ...enumerated('action', done ? countermeasure.action : ACTION.observed),
      ...enumerated('disposition', dispositionOf(outcome?.code, countermeasure.disposition)),
      ...(finding && { scan: scanObject(finding.scan), ...blameOf(finding) }),
    },
  );
}

function targetOf(instruction: Instruction, finding: FindingRecord | undefined): OcsfObject {
  switch (instruction.name) {
    case 'stop:process':
      return { process: stoppedProcess(instruction.target, finding) };
    case 'update:file': {
      const { path, expect, content } = instruction.target;
      return { file: fileObject(path, { sha256: content ?? expect ?? undefined }) };
    }
    default:
      return { file: fileObject(instruction.target.path, instruction.target) };
  }
}

/** A process that was found, or one that runs the file that was found. */
function stoppedProcess(
  target: Extract<Instruction, { name: 'stop:process' }>['target'],
  finding: FindingRecord | undefined,
): OcsfObject {
  const subject = finding?.subject;
  if (subject?.kind === 'process') return processObject(subject);
  return {
    pid: target.pid,
    uid: processUid(target),
    ...(subject && { path: shown(subject.path), file: fileObject(subject.path, subject) }),
  };
}

function countermeasureObject(name: Instruction['name']): OcsfObject {
  const { tactic, technique } = COUNTERMEASURES[name];
  return {
    d3f_tactic: { name: tactic[1] },
    d3f_technique: { uid: INSTRUCTIONS[name].d3fend, name: technique },
  };
}

function statusOf({ outcome, outcomeAt }: ActionRecord): OcsfObject {
  if (!outcome) return enumerated('status', OPEN);
  const details = [
    ...(outcome.detail === undefined ? [] : [displayText(outcome.detail)]),
    ...(outcome.putBackAs === undefined ? [] : [`put back as ${shown(outcome.putBackAs)}`]),
  ];
  return {
    ...enumerated('status', STATUSES[outcome.code]),
    status_code: outcome.code,
    ...(details.length > 0 && { status_detail: details.join('; ') }),
    ...(outcomeAt !== undefined && { end_time: outcomeAt }),
  };
}

function dispositionOf(code: RecordedOutcome['code'] | undefined, whenDone: Enumerated): Enumerated {
  if (code === undefined || code === 'unknown') return DISPOSITION.unknown;
  return code === 'done' ? whenDone : DISPOSITION.uncorrected;
}

function blameOf(finding: FindingRecord): OcsfObject {
  const attacks = attackObjects(finding);
  return { malware: malwareObjects(finding), ...(attacks.length > 0 && { attacks }) };
}

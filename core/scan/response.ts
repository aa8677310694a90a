/** What the outcomes of actions make of the findings that they answered. */
import type { Instruction } from '../../protocol/index.ts';
import type { ClosedAction } from '../control/execute.ts';
import { explain } from '../control/obstacles.ts';
import { detectionFinding, remediation as remediationEvent } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { FindingStore } from '../store/findings.ts';
import type { FindingRecord, RecordedOutcome, VmRecord } from '../store/records.ts';
import type { OnAnswered } from './responder.ts';

type Answering = 'stop:process' | 'contain:file' | 'delete:file';
type Response = FindingRecord['response'];

const RESPONSE_TO = {
  'stop:process': 'stopped',
  'contain:file': 'contained',
  'delete:file': 'deleted',
} as const satisfies Record<Answering, Response>;

/** The response to a finding while its steps are tried, one after the other: one that failed is what it is known by. */
export class ResponseLog {
  response: Response = 'reported';
  private readonly reasons: string[];

  constructor(reasons: readonly string[] = []) {
    this.reasons = [...reasons];
  }

  get reason(): string | undefined {
    return this.reasons.length > 0 ? this.reasons.join('; ') : undefined;
  }

  explain(reason: string): void {
    this.reasons.push(reason);
  }

  outcome(instruction: Answering, outcome: RecordedOutcome): void {
    if (outcome.code === 'unknown') this.unknown(outcome.detail ?? '');
    else if (!isAnswered(instruction, outcome)) this.failure(whyNot(instruction, outcome));
    else if (this.response !== 'failed' && this.response !== 'unknown') {
      this.response = RESPONSE_TO[instruction];
    }
  }

  /** It may or may not have been done. */
  unknown(reason: string): void {
    if (this.response !== 'failed') this.response = 'unknown';
    this.reasons.push(reason);
  }

  failure(reason: string): void {
    this.response = 'failed';
    this.reasons.push(reason);
  }
}

/**
 * Notes with their findings, and tells, what was settled only after the scan that asked for it had ended.
 * Rejects with StoreError or EventError.
 */
export async function noteLateOutcomes(
  closed: readonly ClosedAction[],
  vm: VmRecord,
  {
    findings,
    events,
    onAnswered,
  }: {
    readonly findings: FindingStore;
    readonly events: EventSink;
    readonly onAnswered?: OnAnswered | undefined;
  },
): Promise<void> {
  const logs = new Map<string, ResponseLog>();
  const answered = new Map<string, FindingRecord>();
  for (const action of closed) {
    const { finding: id, instruction, outcome } = action;
    let finding = id === undefined ? undefined : findings.find(id);
    if (finding && isAnswering(instruction.name)) {
      const log = logs.get(finding.id) ?? new ResponseLog();
      logs.set(finding.id, log);
      log.outcome(instruction.name, outcome);
      const before = finding;
      finding = findings.setResponse(finding.id, log.response, log.reason);
      onAnswered?.(finding, before, vm);
      answered.set(finding.id, finding);
    }
    await events.emit(remediationEvent(action, vm, finding));
  }
  for (const finding of answered.values()) await events.emit(detectionFinding(finding, vm));
}

const isAnswering = (name: Instruction['name']): name is Answering => Object.hasOwn(RESPONSE_TO, name);

/** A process that ended by itself, or with the file that another finding was about, is as good as stopped. */
const isAnswered = (instruction: Answering, { code }: RecordedOutcome): boolean =>
  code === 'done' || (instruction === 'stop:process' && code === 'vanished');

const whyNot = (instruction: Answering, outcome: RecordedOutcome): string =>
  `the guest did not ${instruction.replace(':', ' the ')}: ${explain(instruction, outcome)}`;

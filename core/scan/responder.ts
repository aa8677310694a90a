/**
 * Answers findings as they come, while the scan goes on behind them: keeps each, plans with the remediations,
 * has the plan carried out, and notes what came of it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ProcessLine } from '../../protocol/index.ts';
import type { Mode, Step } from '../api/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import type { ActionExecutor, ActionRequest, ClosedAction } from '../control/execute.ts';
import type { NeverTouch } from '../control/never-touch.ts';
import { type NamedRemediation, planActions } from '../control/plan.ts';
import { OutcomeUnknown } from '../control/sending.ts';
import { InstructionError, isUnwritten } from '../error.ts';
import { detectionFinding, remediation as remediationEvent } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { FindingStore } from '../store/findings.ts';
import type { FileNames, FindingRecord, VmRecord } from '../store/records.ts';
import type { Found } from './findings.ts';
import { NamedFindings, type Plan } from './named.ts';
import { ResponseLog } from './response.ts';
import type { Content } from './spool.ts';
import type { KnownNeedsOfGuest } from './survey/known-needs.ts';
import { Survey } from './survey/survey.ts';

/** A finding to be answered, with its content where it is a file's. */
export interface Answerable extends Found {
  readonly content?: Content;
  /** What is to be said with the answer, whatever is done. */
  readonly remark?: string;
}

export interface ResponderParts {
  readonly remediations: readonly NamedRemediation[];
  readonly executor: ActionExecutor;
  readonly neverTouch: NeverTouch;
  readonly knownNeeds: KnownNeedsOfGuest;
  readonly findings: FindingStore;
  readonly events: EventSink;
  /** Called with each finding that was answered, and with it as it was kept before. */
  readonly onAnswered?: OnAnswered | undefined;
}

export interface ResponsePolicy {
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly deleteWhenNotContainable: boolean;
}

/** A finding of which the disk took no record. */
export interface Unrecorded {
  readonly record: FindingRecord;
  readonly why: string;
}

/** What was answered: the findings as they are after that, in the order in which they were given, without those of no record. */
export interface Answered {
  readonly findings: readonly FindingRecord[];
  /** Nothing is done about them, and they do not count as found. */
  readonly unrecorded: readonly Unrecorded[];
}

/** A finding that is on record, and how it was before. */
interface Kept {
  readonly answerable: Answerable;
  readonly record: FindingRecord;
  readonly before: FindingRecord | undefined;
}

export type OnAnswered = (now: FindingRecord, before: FindingRecord | undefined, vm: VmRecord) => void;

export class Responder {
  /** What the report tells of; all else is in the records alone. */
  readonly named = new NamedFindings();
  private readonly guest: ConnectedGuest;
  private readonly parts: ResponderParts;
  private readonly policy: ResponsePolicy;
  private surveyed = false;

  constructor(guest: ConnectedGuest, parts: ResponderParts, policy: ResponsePolicy) {
    this.guest = guest;
    this.parts = parts;
    this.policy = policy;
  }

  /** Takes note of a process of the guest, so that it is not stopped where it has to stay. */
  observe(process: Extract<ProcessLine, { type: 'process' }>): void {
    this.parts.neverTouch.observeProcess(process);
  }

  async answer(found: readonly Answerable[], signal: AbortSignal): Promise<Answered> {
    if (found.length === 0) return { findings: [], unrecorded: [] };
    const unrecorded: Unrecorded[] = [];
    const kept = await this.keep(found, unrecorded);
    const answerables = kept.map(({ answerable }) => answerable);
    const plan = await this.plan(answerables, signal);
    const steps = Map.groupBy(plan.steps, ({ finding }) => finding);
    const withheld = Map.groupBy(plan.withheld, ({ finding }) => finding);
    const planFor = (id: string): Plan => ({ steps: steps.get(id) ?? [], withheld: withheld.get(id) ?? [] });
    for (const { record } of kept) this.named.planFor(record.id, planFor(record.id));
    if (plan.steps.length === 0 && this.policy.mode === 'detect') {
      return { findings: this.report(kept, planFor, unrecorded), unrecorded };
    }
    const findings: FindingRecord[] = [];
    for (const each of kept) {
      findings.push(await this.carryOut(each, planFor(each.record.id), unrecorded, signal));
      // Where nothing is asked of the guest, all is written down without a wait, while others wait for their turn.
      await nextTurn();
    }
    return { findings, unrecorded };
  }

  /** Says of each finding how many names its file has and how many were found; a name that was not is told at once. */
  async tellNames(counted: Iterable<readonly [finding: string, names: FileNames]>): Promise<void> {
    for (const [id, names] of counted) {
      const finding = this.parts.findings.find(id);
      if (finding?.subject.kind !== 'file') continue;
      const { subject } = finding;
      const kept = this.rewritten({ ...finding, subject: { ...subject, names } });
      this.named.note(kept);
      await this.parts.events.emit(detectionFinding(kept, this.guest.vm));
    }
  }

  /** On a full disk a finding stays on record as it was; that the disk is full is told by the record of the scan. */
  private rewritten(finding: FindingRecord): FindingRecord {
    try {
      return this.parts.findings.upsert(finding);
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      return finding;
    }
  }

  /** Nothing is done about them, so that one write to the disk serves all. */
  private report(
    kept: readonly Kept[],
    planFor: (id: string) => Plan,
    unrecorded: Unrecorded[],
  ): readonly FindingRecord[] {
    const reports = kept.map(({ record: { id } }) => {
      const { reason } = new ResponseLog(planFor(id).withheld.map((each) => each.reason));
      return { id, reason };
    });
    try {
      const reported = this.parts.findings.reportAll(reports);
      for (const [place, each] of reported.entries()) {
        this.named.note(each);
        this.parts.onAnswered?.(each, kept[place]?.before, this.guest.vm);
      }
      return reported;
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      unrecorded.push(...kept.map(({ record }) => ({ record, why: error.message })));
      return kept.map(({ record }) => record);
    }
  }

  /** Their events are emitted together, so that one write of the spool serves all. */
  private async keep(found: readonly Answerable[], unrecorded: Unrecorded[]): Promise<readonly Kept[]> {
    const { findings, events } = this.parts;
    const before = found.map(({ record }) => findings.find(record.id));
    const records = this.recordAll(
      found.map(({ record }) => record),
      unrecorded,
    );
    const kept = found.flatMap((answerable, place) => {
      const record = records[place];
      return record ? [{ answerable, record, before: before[place] }] : [];
    });
    for (const { record } of kept) this.named.note(record);
    await Promise.all(kept.map(({ record }) => events.emit(detectionFinding(record, this.guest.vm))));
    return kept;
  }

  /** In one write to the disk; where that takes not all of them, each by itself. Undefined for one that it does not take. */
  private recordAll(
    found: readonly FindingRecord[],
    unrecorded: Unrecorded[],
  ): (FindingRecord | undefined)[] {
    const { findings } = this.parts;
    try {
      return findings.upsertAll(found);
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      const only = found.length === 1 ? found[0] : undefined;
      if (!only) return found.flatMap((each) => this.recordAll([each], unrecorded));
      unrecorded.push({ record: only, why: error.message });
      return [undefined];
    }
  }

  private async plan(answerables: readonly Answerable[], signal: AbortSignal) {
    const { mode, deleteWhenNotContainable } = this.policy;
    if (mode !== 'detect') await this.surveyProtected(signal);
    const granted = new Set(this.guest.instructionSet.instructions);
    const suspended = this.guest.whySuspended?.();
    const context = { mode, deleteWhenNotContainable, grants: granted.has.bind(granted), suspended };
    const actionable = answerables.map((each) => each.actionable);
    return planActions(actionable, this.parts.remediations, context, this.parts.neverTouch);
  }

  /**
   * Before anything is done in a guest, its protected files are learnt, so that one is recognised by its inode
   * under any name, whatever part of the guest is being scanned.
   */
  private async surveyProtected(signal: AbortSignal): Promise<void> {
    if (this.surveyed) return;
    const { neverTouch } = this.parts;
    await new Survey(this.guest.session, neverTouch, signal, this.parts.knownNeeds).run();
    this.surveyed = true;
  }

  /**
   * The steps for one finding, in their order. One that fails does not keep the next from being tried, but one that ended
   * the session does: throws its ChannelError.
   */
  private async carryOut(
    { record, before, answerable: { content, remark } }: Kept,
    { steps, withheld }: Plan,
    unrecorded: Unrecorded[],
    signal: AbortSignal,
  ): Promise<FindingRecord> {
    const log = new ResponseLog(withheld.map(({ reason }) => reason));
    if (remark !== undefined && this.policy.mode !== 'detect') log.explain(remark);
    if (this.policy.dryRun && steps.length > 0)
      log.explain('a dry run: the plan was shown and not carried out');
    let lost: OutcomeUnknown | undefined;
    for (const { step } of this.policy.dryRun ? [] : steps) {
      const action = await this.act(record, step, content, signal);
      if (!(action instanceof InstructionError)) log.outcome(step.instruction, action.outcome);
      else if (action.code !== 'outcome-unknown') log.failure(action.message);
      else log.unknown(action.message);
      if (action instanceof OutcomeUnknown && action.isSessionOver) lost = action;
      if (lost) break;
    }
    const answered = this.respond(record, log, unrecorded);
    if (!answered && lost) throw lost.cause;
    if (!answered) return record;
    this.named.note(answered);
    this.parts.onAnswered?.(answered, before, this.guest.vm);
    // In mode detect there is nothing to be added to what was told when it was found.
    if (this.policy.mode !== 'detect')
      await this.parts.events.emit(detectionFinding(answered, this.guest.vm));
    // Nothing more is begun that could not be sent.
    if (lost) throw lost.cause;
    return answered;
  }

  /** Undefined where the response could not be written down: on record the finding stays as it was. */
  private respond(
    record: FindingRecord,
    { response, reason }: ResponseLog,
    unrecorded: Unrecorded[],
  ): FindingRecord | undefined {
    try {
      return this.parts.findings.setResponse(record.id, response, reason);
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      unrecorded.push({ record, why: error.message });
      return undefined;
    }
  }

  private async act(
    finding: FindingRecord,
    step: Step,
    content: Content | undefined,
    signal: AbortSignal,
  ): Promise<ClosedAction | InstructionError> {
    const { executor, events, neverTouch } = this.parts;
    try {
      const request = { finding: finding.id, ...requestOf(step, content) };
      const action = await executor.perform({ ...this.guest, neverTouch }, request, signal);
      await events.emit(remediationEvent(action, this.guest.vm, finding));
      return action;
    } catch (error) {
      if (error instanceof InstructionError) return error;
      throw error;
    }
  }
}

function requestOf(step: Step, content: Content | undefined): ActionRequest {
  switch (step.instruction) {
    case 'stop:process':
      return { instruction: { name: 'stop:process', target: step.target } };
    case 'delete:file':
      return { instruction: { name: 'delete:file', target: step.target } };
    case 'contain:file':
      if (!content)
        throw new InstructionError('refused', 'its content is not at hand, so it cannot be contained');
      return {
        instruction: { name: 'contain:file', target: step.target },
        content: { file: content.path, size: content.size },
      };
  }
}

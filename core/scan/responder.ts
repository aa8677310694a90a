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
import { InstructionError } from '../error.ts';
import { detectionFinding, remediation as remediationEvent } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { FindingStore } from '../store/findings.ts';
import type { FileNames, FindingRecord } from '../store/records.ts';
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
}

export interface ResponsePolicy {
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly deleteWhenNotContainable: boolean;
}

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

  /** Gives each finding as it is after that, in the order in which they were given. */
  async answer(answerables: readonly Answerable[], signal: AbortSignal): Promise<readonly FindingRecord[]> {
    if (answerables.length === 0) return [];
    const kept = await this.keep(answerables);
    const plan = await this.plan(answerables, signal);
    const steps = Map.groupBy(plan.steps, ({ finding }) => finding);
    const withheld = Map.groupBy(plan.withheld, ({ finding }) => finding);
    const answered: FindingRecord[] = [];
    for (const [place, answerable] of answerables.entries()) {
      const record = kept[place] as FindingRecord;
      const own = { steps: steps.get(record.id) ?? [], withheld: withheld.get(record.id) ?? [] };
      this.named.planFor(record.id, own);
      answered.push(await this.carryOut(record, own, answerable, signal));
      // Where nothing is asked of the guest, all is written down without a wait, while others wait for their turn.
      await nextTurn();
    }
    return answered;
  }

  /** Says of each finding how many names its file has and how many were found; a name that was not is told at once. */
  async tellNames(counted: Iterable<readonly [finding: string, names: FileNames]>): Promise<void> {
    for (const [id, names] of counted) {
      const finding = this.parts.findings.find(id);
      if (finding?.subject.kind !== 'file') continue;
      const kept = this.parts.findings.upsert({ ...finding, subject: { ...finding.subject, names } });
      this.named.note(kept);
      await this.parts.events.emit(detectionFinding(kept, this.guest.vm));
    }
  }

  /** Their events are emitted together, so that one write of the spool serves all. */
  private async keep(answerables: readonly Answerable[]): Promise<readonly FindingRecord[]> {
    const kept = this.parts.findings.upsertAll(answerables.map(({ record }) => record));
    for (const each of kept) this.named.note(each);
    await Promise.all(kept.map((each) => this.parts.events.emit(detectionFinding(each, this.guest.vm))));
    return kept;
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

  /** The steps for one finding, in their order. One that fails does not keep the next from being tried. */
  private async carryOut(
    finding: FindingRecord,
    { steps, withheld }: Plan,
    { content, remark }: Pick<Answerable, 'content' | 'remark'>,
    signal: AbortSignal,
  ): Promise<FindingRecord> {
    const log = new ResponseLog(withheld.map(({ reason }) => reason));
    if (remark !== undefined && this.policy.mode !== 'detect') log.explain(remark);
    if (this.policy.dryRun && steps.length > 0)
      log.explain('a dry run: the plan was shown and not carried out');
    for (const { step } of this.policy.dryRun ? [] : steps) {
      const action = await this.act(finding, step, content, signal);
      if (action instanceof InstructionError) {
        if (action.code === 'outcome-unknown') log.unknown(action.message);
        else log.failure(action.message);
      } else log.outcome(step.instruction, action.outcome);
    }
    const answered = this.parts.findings.setResponse(finding.id, log.response, log.reason);
    this.named.note(answered);
    // In mode detect there is nothing to be added to what was told when it was found.
    if (this.policy.mode !== 'detect')
      await this.parts.events.emit(detectionFinding(answered, this.guest.vm));
    return answered;
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

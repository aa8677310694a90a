/**
 * Answers findings as they come, while the scan goes on behind them: keeps each, plans with the remediations,
 * has the plan carried out, and notes what came of it.
 */
import { GuestPath } from '../../protocol/index.ts';
import type { Mode, Step } from '../api/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import type { ActionExecutor, ActionRequest, ClosedAction } from '../control/execute.ts';
import { type NeverTouch, PROTECTED_ROOTS } from '../control/never-touch.ts';
import { type NamedRemediation, planActions } from '../control/plan.ts';
import { InstructionError } from '../error.ts';
import { detectionFinding, remediation as remediationEvent } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { FindingStore } from '../store/findings.ts';
import type { FindingRecord } from '../store/records.ts';
import type { Found } from './findings.ts';
import type { InventoryPolicy } from './inventory.ts';
import { NamedFindings, type Plan } from './named.ts';
import { ResponseLog } from './response.ts';
import type { Content } from './spool.ts';

/** A finding to be answered, with its content where it is a file's. */
export interface Answerable extends Found {
  readonly content?: Content;
}

export interface ResponderParts {
  readonly remediations: readonly NamedRemediation[];
  readonly executor: ActionExecutor;
  readonly neverTouch: NeverTouch;
  readonly findings: FindingStore;
  readonly events: EventSink;
}

export interface ResponsePolicy {
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly deleteWhenNotContainable: boolean;
  /** Bounds on listing the places of protected files. */
  readonly inventory: Omit<InventoryPolicy, 'roots'>;
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

  /** Gives each finding as it is after that, in the order in which they were given. */
  async answer(answerables: readonly Answerable[], signal: AbortSignal): Promise<readonly FindingRecord[]> {
    if (answerables.length === 0) return [];
    const kept = await this.keep(answerables);
    const plan = await this.plan(answerables, signal);
    const steps = Map.groupBy(plan.steps, ({ finding }) => finding);
    const withheld = Map.groupBy(plan.withheld, ({ finding }) => finding);
    const planFor = (id: string): Plan => ({ steps: steps.get(id) ?? [], withheld: withheld.get(id) ?? [] });
    for (const { id } of kept) this.named.planFor(id, planFor(id));
    if (plan.steps.length === 0 && this.policy.mode === 'detect') return this.report(kept, planFor);
    const answered: FindingRecord[] = [];
    for (const [place, { content }] of answerables.entries()) {
      const record = kept[place] as FindingRecord;
      answered.push(await this.carryOut(record, planFor(record.id), content, signal));
    }
    return answered;
  }

  /** Nothing is done about them, so that one write to the disk serves all. */
  private report(kept: readonly FindingRecord[], planFor: (id: string) => Plan): readonly FindingRecord[] {
    const reports = kept.map(({ id }) => {
      const { reason } = new ResponseLog(planFor(id).withheld.map((each) => each.reason));
      return { id, reason };
    });
    const reported = this.parts.findings.reportAll(reports);
    for (const each of reported) this.named.note(each);
    return reported;
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
   * Before anything is done in a guest, the protected files are listed, so that one is recognised by its inode
   * under any name, whatever part of the guest is being scanned.
   */
  private async surveyProtected(signal: AbortSignal): Promise<void> {
    if (this.surveyed) return;
    const { neverTouch } = this.parts;
    const roots = PROTECTED_ROOTS.map((root) => GuestPath.of(root));
    for await (const line of this.guest.session.listFiles(this.surveyRequest(roots), signal)) {
      if (line.type !== 'directory') continue;
      const directory = GuestPath.of(line.path);
      for (const [name, ino] of line.files) neverTouch.observe(directory.child(name), line.dev, ino);
    }
    if (this.guest.instructionSet.instructions.includes('query:processes')) {
      for await (const line of this.guest.session.listProcesses(signal)) {
        if (line.type === 'process') neverTouch.observeProcess(line);
      }
    }
    this.surveyed = true;
  }

  private surveyRequest(roots: readonly GuestPath[]) {
    return { ...this.policy.inventory, excludes: [], roots: roots.map((root) => root.wire) };
  }

  /** The steps for one finding, in their order. One that fails does not keep the next from being tried. */
  private async carryOut(
    finding: FindingRecord,
    { steps, withheld }: Plan,
    content: Content | undefined,
    signal: AbortSignal,
  ): Promise<FindingRecord> {
    const log = new ResponseLog(withheld.map(({ reason }) => reason));
    if (this.policy.dryRun && steps.length > 0)
      log.explain('a dry run: the plan was shown and not carried out');
    for (const { step } of this.policy.dryRun ? [] : steps) {
      const action = await this.act(finding, step, content, signal);
      if (action instanceof InstructionError) log.failure(action.message);
      else log.outcome(step.instruction, action.outcome);
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

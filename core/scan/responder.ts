/**
 * Answers findings as they come, while the scan goes on behind them: keeps each, plans with the remediations,
 * has the plan carried out, and notes what came of it.
 */
import { GuestPath } from '../../protocol/index.ts';
import type { Mode, Step } from '../api/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import type { ActionExecutor, ActionRequest, ClosedAction } from '../control/execute.ts';
import { type NeverTouch, PROTECTED_ROOTS } from '../control/never-touch.ts';
import { type NamedRemediation, type PlannedStep, planActions, type WithheldStep } from '../control/plan.ts';
import { InstructionError, isUnwritten } from '../error.ts';
import { detectionFinding, remediation as remediationEvent } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { FindingStore } from '../store/findings.ts';
import type { FindingRecord, VmRecord } from '../store/records.ts';
import type { Found } from './findings.ts';
import type { InventoryPolicy } from './inventory.ts';
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
  /** Called with each finding that was answered, and with it as it was kept before. */
  readonly onAnswered?: OnAnswered | undefined;
}

export interface ResponsePolicy {
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly deleteWhenNotContainable: boolean;
  /** Bounds on listing the places of protected files. */
  readonly inventory: Omit<InventoryPolicy, 'roots'>;
}

/** A finding of which the disk took no record. */
export interface Unrecorded {
  readonly record: FindingRecord;
  readonly why: string;
}

export type OnAnswered = (now: FindingRecord, before: FindingRecord | undefined, vm: VmRecord) => void;

export class Responder {
  readonly findings = new Map<string, FindingRecord>();
  steps: readonly PlannedStep[] = [];
  withheld: readonly WithheldStep[] = [];
  private readonly guest: ConnectedGuest;
  private readonly parts: ResponderParts;
  private readonly policy: ResponsePolicy;
  private surveyed = false;
  private unrecorded: Unrecorded[] = [];
  /** Those that are being answered, as they were kept before. */
  private before = new Map<string, FindingRecord | undefined>();

  constructor(guest: ConnectedGuest, parts: ResponderParts, policy: ResponsePolicy) {
    this.guest = guest;
    this.parts = parts;
    this.policy = policy;
  }

  /** Gives those that could not be written down: nothing is done about them, and they do not count as found. */
  async answer(found: readonly Answerable[], signal: AbortSignal): Promise<readonly Unrecorded[]> {
    if (found.length === 0) return [];
    this.unrecorded = [];
    const answerables = await this.keep(found);
    const plan = await this.plan(answerables, signal);
    // What was planned for one that is answered again, as more is known of it, does not hold any more.
    const again = new Set(answerables.map(({ record }) => record.id));
    const holds = ({ finding }: { readonly finding: string }) => !again.has(finding);
    this.steps = [...this.steps.filter(holds), ...plan.steps];
    this.withheld = [...this.withheld.filter(holds), ...plan.withheld];
    for (const { record, content } of answerables) {
      const steps = plan.steps.filter(({ finding }) => finding === record.id);
      const reasons = plan.withheld
        .filter(({ finding }) => finding === record.id)
        .map(({ reason }) => reason);
      await this.carryOut(record.id, steps, reasons, content, signal);
    }
    return this.unrecorded;
  }

  /** Their events are emitted together, so that one write of the spool serves all. */
  private async keep(answerables: readonly Answerable[]): Promise<Answerable[]> {
    const { findings } = this.parts;
    this.before = new Map(answerables.map(({ record: { id } }) => [id, findings.find(id)]));
    const onRecord = answerables.filter(({ record }) => this.written(record, () => findings.upsert(record)));
    const kept = onRecord.flatMap(({ record: { id } }) => this.findings.get(id) ?? []);
    await Promise.all(kept.map((each) => this.parts.events.emit(detectionFinding(each, this.guest.vm))));
    return onRecord;
  }

  /** What `write` keeps is known from then on; where the disk takes nothing, that is noted instead. */
  private written(record: FindingRecord, write: () => FindingRecord): FindingRecord | undefined {
    try {
      const kept = write();
      this.findings.set(kept.id, kept);
      return kept;
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      this.unrecorded.push({ record, why: error.message });
      return undefined;
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
    finding: string,
    steps: readonly PlannedStep[],
    reasons: readonly string[],
    content: Content | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const log = new ResponseLog(reasons);
    if (this.policy.dryRun && steps.length > 0)
      log.explain('a dry run: the plan was shown and not carried out');
    for (const { step } of this.policy.dryRun ? [] : steps) {
      const action = await this.act(finding, step, content, signal);
      if (action instanceof InstructionError) log.failure(action.message);
      else log.outcome(step.instruction, action.outcome);
    }
    const answered = this.answered(finding, log);
    if (!answered) return;
    this.parts.onAnswered?.(answered, this.before.get(finding), this.guest.vm);
    // In mode detect there is nothing to be added to what was told when it was found.
    if (this.policy.mode !== 'detect')
      await this.parts.events.emit(detectionFinding(answered, this.guest.vm));
  }

  /** Undefined where the response could not be written down: on record the finding stays as it was. */
  private answered(id: string, { response, reason }: ResponseLog): FindingRecord | undefined {
    const found = this.findings.get(id);
    if (!found) throw new TypeError(`the finding ${id} is answered and was not kept`);
    return this.written(found, () => this.parts.findings.setResponse(id, response, reason));
  }

  private async act(
    finding: string,
    step: Step,
    content: Content | undefined,
    signal: AbortSignal,
  ): Promise<ClosedAction | InstructionError> {
    const { executor, events, neverTouch } = this.parts;
    try {
      const request = { finding, ...requestOf(step, content) };
      const action = await executor.perform({ ...this.guest, neverTouch }, request, signal);
      await events.emit(remediationEvent(action, this.guest.vm, this.findings.get(finding)));
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

/** From findings to the steps that answer them. Pure: nothing is asked of a guest, nothing is done. */
import type { Instruction } from '../../protocol/index.ts';
import { type Finding, type PlanningContext, type Remediation, STAGES, type Step } from '../api/index.ts';
import type { NeverTouch } from './never-touch.ts';

/** A step that policy, never-touch list and instruction set let pass, for one finding. */
export interface PlannedStep {
  readonly finding: string;
  readonly remediation: string;
  readonly step: Step;
}

/** Why a finding, or one step for it, stands as reported. */
export interface WithheldStep {
  readonly finding: string;
  readonly reason: string;
}

export interface Plan {
  readonly steps: readonly PlannedStep[];
  readonly withheld: readonly WithheldStep[];
}

/** What plugins see of it, and what is the plan's own affair. */
export interface PlanContext extends PlanningContext {
  /** Why nothing may be done to this guest. */
  readonly suspended?: string | undefined;
}

export interface NamedRemediation {
  readonly id: string;
  readonly remediation: Remediation;
}

/**
 * The steps in the order of their stages, each once, and for every finding that is not answered in full the
 * reason in plain words.
 */
export function planActions(
  findings: readonly Finding[],
  remediations: readonly NamedRemediation[],
  context: PlanContext,
  neverTouch: NeverTouch,
): Plan {
  const steps: PlannedStep[] = [];
  const withheld: WithheldStep[] = [];
  for (const finding of findings) {
    const reason = reasonToReport(finding, context, neverTouch);
    const answer = reason === undefined ? answerTo(finding, remediations, context, neverTouch) : undefined;
    steps.push(...(answer?.steps ?? []));
    for (const each of answer?.reasons ?? [reason]) {
      if (each !== undefined) withheld.push({ finding: finding.id, reason: each });
    }
  }
  const { first, repeated } = withoutRepeats(steps);
  for (const { finding } of repeated)
    withheld.push({ finding, reason: 'the same step answers another finding' });
  return { steps: inOrder(first), withheld };
}

/** Each step that came to nothing is told with the finding; a finding is acted upon only when it is malicious. */
function reasonToReport(finding: Finding, context: PlanContext, neverTouch: NeverTouch): string | undefined {
  if (finding.judgement !== 'malicious') return 'it is suspicious only: a person decides';
  if (context.mode === 'detect') return 'the mode is detect: findings are reported, nothing is done';
  if (context.suspended !== undefined) return suspendedBecause(context.suspended);
  // Neither is what runs a protected file stopped.
  return finding.kind === 'file'
    ? neverTouch.fileReason(finding.file)
    : neverTouch.processReason(finding.process);
}

function answerTo(
  finding: Finding,
  remediations: readonly NamedRemediation[],
  context: PlanningContext,
  neverTouch: NeverTouch,
): { steps: PlannedStep[]; reasons: Set<string> } {
  const steps: PlannedStep[] = [];
  const reasons = new Set<string>();
  for (const { id, remediation } of remediations) {
    for (const step of remediation.propose(finding, context)) {
      const reason = reasonAgainst(step, context, neverTouch);
      if (reason === undefined) steps.push({ finding: finding.id, remediation: id, step });
      else reasons.add(reason);
    }
  }
  if (reasons.size === 0) for (const reason of unanswered(finding, steps, context)) reasons.add(reason);
  return { steps, reasons };
}

function reasonAgainst(step: Step, context: PlanningContext, neverTouch: NeverTouch): string | undefined {
  if (!context.grants(step.instruction)) return notGranted(step.instruction);
  return neverTouch.reason({ name: step.instruction, target: step.target } as Instruction);
}

/** What the finding calls for and no remediation proposed. */
function* unanswered(finding: Finding, steps: readonly PlannedStep[], context: PlanningContext) {
  const has = (stage: Step['stage']) => steps.some(({ step }) => step.stage === stage);
  const runs = finding.kind === 'process' || finding.runBy.length > 0;
  if (runs && !has('stop')) {
    yield context.grants('stop:process') ? 'no remediation stops it' : notGranted('stop:process');
  }
  if (finding.kind === 'file' && !has('remove')) yield whyNotRemoved(context);
}

function whyNotRemoved({ mode, grants, deleteWhenNotContainable }: PlanningContext): string {
  if (mode === 'delete') {
    return grants('delete:file') ? 'no remediation deletes it' : notGranted('delete:file');
  }
  if (grants('contain:file')) return 'no remediation contains it';
  return deleteWhenNotContainable
    ? `${notGranted('contain:file')}, nor does it have delete:file`
    : `${notGranted('contain:file')}, and policy does not let it be deleted instead`;
}

export const suspendedBecause = (reason: string): string =>
  `the guest is suspended, and nothing is done to it until it is enrolled again: ${reason}`;

const notGranted = (instruction: Step['instruction']): string =>
  `the instruction set of this guest does not have ${instruction}`;

/** Each step once; and those of other findings that came to the same. */
function withoutRepeats(steps: readonly PlannedStep[]) {
  const first = new Map<string, PlannedStep>();
  const repeated: PlannedStep[] = [];
  for (const planned of steps) {
    const key = keyOf(planned.step);
    const same = first.get(key);
    if (!same) first.set(key, planned);
    else if (same.finding !== planned.finding) repeated.push(planned);
  }
  return { first: [...first.values()], repeated };
}

/** Steps that name the same thing are the same: a process by pid and start, a file by device and inode and path. */
function keyOf({ instruction, target }: Step): string {
  if ('pid' in target) return JSON.stringify([instruction, target.pid, target.start]);
  return JSON.stringify([instruction, target.dev, target.ino, target.path, target.sha256]);
}

const inOrder = (steps: readonly PlannedStep[]): PlannedStep[] =>
  steps.toSorted((one, other) => STAGES.indexOf(one.step.stage) - STAGES.indexOf(other.step.stage));

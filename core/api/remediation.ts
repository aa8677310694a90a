import type { ActingInstruction, FileTarget, ProcessTarget } from '../../protocol/index.ts';
import type { Detection, Judgement } from './subject.ts';

/** What policy lets be done about findings: report only, contain (can be undone), or delete. */
export type Mode = 'detect' | 'contain' | 'delete';

/** A malicious or suspicious subject of one guest, with all that was said about it. */
export type Finding = {
  readonly id: string;
  readonly judgement: Judgement;
  readonly detections: readonly Detection[];
} & (
  | {
      readonly kind: 'file';
      readonly file: FileTarget;
      /** Processes that run this very file. */
      readonly runBy: readonly ProcessTarget[];
    }
  | { readonly kind: 'process'; readonly process: ProcessTarget }
);

/** A step that answers a finding. Stages are carried out in this order: what runs a file is stopped before the file is taken. */
export const STAGES = ['stop', 'remove'] as const;
export type Step = { readonly stage: (typeof STAGES)[number] } & (
  | { readonly instruction: 'stop:process'; readonly target: ProcessTarget }
  | { readonly instruction: 'contain:file' | 'delete:file'; readonly target: FileTarget }
);

export interface PlanningContext {
  readonly mode: Mode;
  /** Policy allows deletion where the guest cannot contain. */
  readonly deleteWhenNotContainable: boolean;
  /** The instruction set of this guest has it. */
  grants(instruction: ActingInstruction): boolean;
}

export interface Remediation {
  /** The steps with which this remediation answers the finding; none when it has no answer. Never acts itself. */
  propose(finding: Finding, context: PlanningContext): readonly Step[];
}

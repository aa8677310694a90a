import type { Step } from '../api/index.ts';

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

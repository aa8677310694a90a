import type { InstructionName } from '../../protocol/index.ts';

/**
 * The instructions granted to one guest: what its agent offers, what policy allows and what the plugins
 * need, intersected. Deny by default.
 */
export interface InstructionSet {
  /** A digest of the members, so that equal sets have equal ids. */
  readonly id: string;
  readonly instructions: readonly InstructionName[];
  /** Why an instruction that a plugin wanted is not in the set. */
  readonly withheld: readonly {
    readonly instruction: InstructionName;
    readonly reason: 'not-offered' | 'denied-by-guest' | 'denied-by-policy';
  }[];
}

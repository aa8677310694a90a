import { createHash } from 'node:crypto';
import { type Features, fromPairs, INSTRUCTION_NAMES, type InstructionName } from '../../protocol/index.ts';
import type { InstructionSet } from './instruction-set.ts';

/** What the operator lets be done in a guest. What is not named is denied. */
export interface InstructionPolicy {
  readonly allow: readonly InstructionName[];
}

type Withheld = InstructionSet['withheld'][number];

/** The instruction set of one guest: what its agent offers, policy allows and the plugins need, all three. */
export function match(
  features: Features,
  policy: InstructionPolicy,
  needs: Iterable<InstructionName>,
): InstructionSet {
  const offered = fromPairs(features.pairs);
  const denied = new Set(features['x-lazaret'].denied);
  const allowed = new Set(policy.allow);
  const needed = new Set(needs);

  const reasonToWithhold = (instruction: InstructionName): Withheld['reason'] | undefined => {
    if (denied.has(instruction)) return 'denied-by-guest';
    if (!offered.has(instruction)) return 'not-offered';
    return allowed.has(instruction) ? undefined : 'denied-by-policy';
  };

  const instructions: InstructionName[] = [];
  const withheld: Withheld[] = [];
  for (const instruction of INSTRUCTION_NAMES.filter((name) => needed.has(name))) {
    const reason = reasonToWithhold(instruction);
    if (reason) withheld.push({ instruction, reason });
    else instructions.push(instruction);
  }
  return { id: digestOf(instructions), instructions, withheld };
}

/** Long enough to tell sets apart that one operator will ever see, short enough to read out. */
function digestOf(instructions: readonly InstructionName[]): string {
  return createHash('sha256').update(instructions.toSorted().join('\n')).digest('hex').slice(0, 12);
}

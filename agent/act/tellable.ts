/**
 * Whether the host will be able to read what a command came to. It is asked before anything is done that cannot be
 * undone: a side effect that cannot be told would leave the host not knowing what became of a file.
 */
import {
  encodeLine,
  encodeOutcome,
  type Instruction,
  LIMITS,
  type Outcome,
  outcomeFault,
} from '../../protocol/index.ts';
import { OutcomeError } from '../error.ts';

/** As long as any. */
const SOME_ID = '00000000-0000-4000-8000-000000000000';

/** The same outcome. Throws OutcomeError `failed` when it cannot be told: then nothing may be done. */
export function requireTellable(name: Instruction['name'], outcome: Outcome): Outcome {
  const fault = faultOf(name, outcome);
  if (fault === undefined) return outcome;
  throw new OutcomeError('failed', `nothing is done, since it could not be told: ${fault}`);
}

/** The outcome, or one that always fits and says that more cannot be told. Nothing is left to be decided by then. */
export function tellable(name: Instruction['name'], outcome: Outcome): Outcome {
  const fault = faultOf(name, outcome);
  if (fault === undefined) return outcome;
  const code = outcome.code === 'done' && name === 'contain:file' ? 'interrupted' : outcome.code;
  return { code, detail: `more of it cannot be told: ${fault}` };
}

function faultOf(name: Instruction['name'], outcome: Outcome): string | undefined {
  const fault = outcomeFault(name, outcome);
  if (fault !== undefined) return fault;
  const bytes = encodeLine(encodeOutcome(SOME_ID, outcome)).length;
  return bytes <= LIMITS.messageBytes ? undefined : `it has ${bytes} bytes`;
}

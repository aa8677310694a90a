/**
 * What a guest says that a command came to. One that cannot be read is no reason to end the session: the guest has
 * work beside that command, and what became of it is asked again (`core/control/execute.ts`).
 */
import { Outcome, outcomeFault, type SealedInstruction, STATUS_OF } from '../../protocol/index.ts';
import { ChannelError } from './error.ts';

/** Throws ChannelError `unreadable-outcome`. */
export function readOutcome(
  { id, instruction: { name } }: SealedInstruction,
  status: number,
  untrustedResults: unknown,
): Outcome {
  const untrusted = (untrustedResults as { 'x-lazaret'?: unknown } | null)?.['x-lazaret'];
  const fault = outcomeFault(name, untrusted);
  if (fault !== undefined) throw unreadable(name, id, fault);
  const outcome = Outcome.parse(untrusted);
  const due = STATUS_OF[outcome.code];
  if (status !== due) throw unreadable(name, id, `"${outcome.code}" has the status ${due}, not ${status}`);
  return outcome;
}

const unreadable = (name: string, id: string, fault: string): ChannelError =>
  new ChannelError(
    'unreadable-outcome',
    `the guest's answer to ${name} (${id}) cannot be read (${fault}): update the agent in the guest`,
  );

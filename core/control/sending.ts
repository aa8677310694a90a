/**
 * Sending a command until its outcome is known, and when to give that up.
 *
 * An agent answers a repeated command with its first outcome, so one that cannot be read will not be readable the
 * next time either, while one that did not come may well come: it is the channel that was lost.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Outcome, SealedInstruction } from '../../protocol/index.ts';
import { ChannelError, type ChannelErrorCode } from '../channel/error.ts';
import type { GuestSession } from '../channel/session.ts';
import { InstructionError } from '../error.ts';

const TRIES_AT_ONCE = 3;
const RETRY_MILLISECONDS = 200;
/** After so many times an action is closed, though it is not known what came of it. */
const TRIES = { unreadable: 3, unanswered: 10 } as const;
/** There was an answer, and it was none. */
const UNREADABLE: ReadonlySet<ChannelErrorCode> = new Set<ChannelErrorCode>([
  'unreadable-outcome',
  'protocol-violation',
  'refused',
]);
/** After which other requests of the session can still succeed. */
const SESSION_LIVES: ReadonlySet<ChannelErrorCode> = new Set<ChannelErrorCode>([
  'unreadable-outcome',
  'refused',
]);
const LONGEST_DETAIL = 1024;

/** It is not known what came of a command: it is asked for again, now and then. */
export class OutcomeUnknown extends InstructionError {
  private readonly channelCode: ChannelErrorCode | undefined;

  constructor({ id, instruction }: SealedInstruction, cause: unknown) {
    super(
      'outcome-unknown',
      `the guest did not say what became of ${instruction.name} (${id}); it is asked again at the next connection: ${
        cause instanceof Error ? cause.message : String(cause)
      }`,
      { cause },
    );
    this.channelCode = cause instanceof ChannelError ? cause.code : undefined;
  }

  /** Nothing else can be asked in this session either. */
  get isSessionOver(): boolean {
    return this.channelCode === undefined || !SESSION_LIVES.has(this.channelCode);
  }

  /** The outcome to close the action with when it was tried so often; undefined when it is to be asked again. */
  outcomeAfter(tries: number): { readonly code: 'unknown'; readonly detail: string } | undefined {
    const isUnreadable = this.channelCode !== undefined && UNREADABLE.has(this.channelCode);
    if (tries < (isUnreadable ? TRIES.unreadable : TRIES.unanswered)) return undefined;
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause);
    const detail = `it was asked ${tries} times what became of it, and is not known: ${why}`;
    return { code: 'unknown', detail: detail.slice(0, LONGEST_DETAIL) };
  }
}

/** A request that the agent turned away (it was busy) is tried again in the same session, under the same id. Throws OutcomeUnknown. */
export async function sendUntilAnswered(session: GuestSession, sealed: SealedInstruction): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.send(sealed);
    } catch (cause) {
      const turnedAway = cause instanceof ChannelError && cause.code === 'refused';
      if (!turnedAway || attempt === TRIES_AT_ONCE) throw new OutcomeUnknown(sealed, cause);
      await pause(RETRY_MILLISECONDS);
    }
  }
}

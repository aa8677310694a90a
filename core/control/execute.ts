/**
 * How a guest is acted upon, always and only here: refuse what is protected or not granted, put content that
 * would be lost into the vault, write down the intent, send, write down the outcome.
 *
 * A command whose answer did not come has an open intent. At the next connection `reconcile` sends the same
 * command again, byte for byte: the agent answers a repeated id with its first outcome, so whatever is
 * retried, a command is carried out at most once and has one outcome.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { DEADLINES, type Instruction, type Outcome, type SealedInstruction } from '../../protocol/index.ts';
import type { InstructionSet } from '../capability/instruction-set.ts';
import { ChannelError } from '../channel/error.ts';
import type { GuestSession } from '../channel/session.ts';
import { InstructionError, isUnwritten } from '../error.ts';
import type { EventRoom } from '../events/sink.ts';
import type { ActionJournal } from '../store/action-journal.ts';
import type { ActionRecord, VmRecord } from '../store/records.ts';
import { NeverTouch } from './never-touch.ts';
import { suspendedBecause } from './plan.ts';
import type { Vault } from './vault.ts';

/** A guest that can be acted upon: logged in, its instruction set granted. */
export interface ActingGuest {
  readonly vm: VmRecord;
  readonly session: GuestSession;
  readonly instructionSet: InstructionSet;
  /** What was learnt of this guest in its inventory; without it, protection goes by path alone. */
  readonly neverTouch?: NeverTouch;
  /** Asked before each action: why nothing may be done to it; undefined when something may. */
  readonly whySuspended?: () => string | undefined;
}

export type ActionRequest = { readonly finding?: string } & (
  | {
      readonly instruction: Extract<Instruction, { name: 'contain:file' }>;
      /** The host file that has the content: it goes into the vault first. */
      readonly content: { readonly file: string; readonly size: number };
    }
  | { readonly instruction: Exclude<Instruction, { name: 'contain:file' }> }
);

/** An action whose outcome is known. */
export type ClosedAction = ActionRecord & { readonly outcome: Outcome };

export interface ExecutorParts {
  readonly journal: ActionJournal;
  readonly vault: Vault;
  /** What is done must be told: where there is no room for that, nothing is done. */
  readonly room?: EventRoom | undefined;
  /** Called with each action whose outcome is known. */
  readonly onClosed?: ((action: ClosedAction) => void) | undefined;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

const TRIES = 3;
const RETRY_MILLISECONDS = 200;

export class ActionExecutor {
  private readonly journal: ActionJournal;
  private readonly vault: Vault;
  private readonly room: EventRoom | undefined;
  private readonly onClosed: (action: ClosedAction) => void;
  private readonly clock: () => number;

  constructor({ journal, vault, room, onClosed = () => undefined, clock = Date.now }: ExecutorParts) {
    this.journal = journal;
    this.vault = vault;
    this.room = room;
    this.onClosed = onClosed;
    this.clock = clock;
  }

  /**
   * Carries out one instruction; resolves with its outcome, whatever that is. Throws InstructionError
   * `suspended`, `not-granted`, `protected` or `spool-full` (nothing was sent), or `outcome-unknown` (the channel was lost: reconciled at
   * the next connection); `vault-full` or `not-recorded` when it could not be written down first, and then nothing
   * was sent either; StoreError. An aborted `signal` keeps it from being begun; once the intent is written it is not cut short.
   */
  async perform(guest: ActingGuest, request: ActionRequest, signal?: AbortSignal): Promise<ClosedAction> {
    requireAllowed(guest, request.instruction);
    this.requireRoom();
    signal?.throwIfAborted();
    const intent = this.intentOf(guest, request);
    await this.writeDown(intent, request);
    return this.carryOut(guest, intent);
  }

  /** On a disk that takes no writes nothing is done; what is found is told all the same. */
  private async writeDown(intent: ActionRecord, request: ActionRequest): Promise<void> {
    try {
      if ('content' in request) await this.intoVault(intent, request);
      this.journal.intent(intent);
    } catch (cause) {
      if (!isUnwritten(cause)) throw cause;
      if (this.journal.find(intent.id) === undefined) await this.vault.abandon(intent.id).catch(keepForLater);
      throw new InstructionError(
        'not-recorded',
        `nothing is done, as it cannot be written down first: ${cause.message}`,
        { cause },
      );
    }
  }

  /**
   * Closes what an earlier session of this guest left open; gives what it came to. To be called after the
   * grant and before anything else is done. In a suspended guest it stays open: the command may have been another's.
   */
  async reconcile(guest: ActingGuest): Promise<readonly ClosedAction[]> {
    const closed: ClosedAction[] = [];
    const open = guest.whySuspended?.() === undefined ? this.journal.open(guest.vm.id) : [];
    for (const intent of open) closed.push(await this.carryOut(guest, intent));
    await this.settleVault(guest.vm.id);
    return closed;
  }

  private requireRoom(): void {
    const reason = this.room?.reasonToWithhold();
    if (reason !== undefined) throw new InstructionError('spool-full', `nothing is done: ${reason}`);
  }

  private intentOf({ vm, session, instructionSet }: ActingGuest, request: ActionRequest): ActionRecord {
    const now = this.clock();
    return {
      id: randomUUID(),
      vm: vm.id,
      ...(request.finding !== undefined && { finding: request.finding }),
      instructionSet: instructionSet.id,
      epoch: session.epoch,
      expires: now + DEADLINES.command,
      instruction: request.instruction,
      intentAt: now,
    };
  }

  private async intoVault(
    intent: ActionRecord,
    { instruction, content }: Extract<ActionRequest, { content: unknown }>,
  ): Promise<void> {
    const { path, sha256 } = instruction.target;
    await this.vault.hold(content.file, {
      id: randomUUID(),
      vm: intent.vm,
      ...(intent.finding !== undefined && { finding: intent.finding }),
      action: intent.id,
      path,
      sha256,
      size: content.size,
      at: intent.intentAt,
    });
  }

  private async carryOut({ session }: ActingGuest, intent: ActionRecord): Promise<ClosedAction> {
    const { id, epoch, expires, instruction } = intent;
    const outcome = await sendUntilAnswered(session, { id, epoch, expires, instruction });
    const closed = this.writeOutcome(intent, outcome);
    await this.vault.settle(closed);
    this.onClosed(closed);
    return closed;
  }

  /** An outcome that cannot be written down is not known: the guest tells it again at the next connection. */
  private writeOutcome({ id, instruction }: ActionRecord, outcome: Outcome): ClosedAction {
    try {
      return requireClosed(this.journal.outcome(id, outcome, this.clock()));
    } catch (cause) {
      if (!isUnwritten(cause)) throw cause;
      throw new InstructionError(
        'outcome-unknown',
        `the outcome of ${instruction.name} (${id}) cannot be written down; the guest is asked for it again at the next connection: ${cause.message}`,
        { cause },
      );
    }
  }

  /** What a crash left between the journal and the vault. */
  private async settleVault(vm: string): Promise<void> {
    await this.vault.dropUnclaimed(vm, (action) => this.journal.find(action) !== undefined);
    for (const action of this.journal.list({ vm })) if (action.outcome) await this.vault.settle(action);
  }
}

/** What a full disk does not let go now is dropped at the next connection (`Vault.dropUnclaimed`). */
function keepForLater(error: unknown): void {
  if (!isUnwritten(error)) throw error;
}

/** Throws InstructionError `suspended`, `not-granted` or `protected`. */
export function requireAllowed(guest: ActingGuest, instruction: Instruction): void {
  const { name } = instruction;
  const suspended = guest.whySuspended?.();
  if (suspended !== undefined) throw new InstructionError('suspended', suspendedBecause(suspended));
  if (!guest.instructionSet.instructions.includes(name)) {
    throw new InstructionError('not-granted', `the instruction set of this guest does not have ${name}`);
  }
  const reason = (guest.neverTouch ?? new NeverTouch()).reason(instruction);
  if (reason !== undefined) throw new InstructionError('protected', reason);
}

/** A request that the agent turned away (it was busy) is tried again in the same session, under the same id. */
async function sendUntilAnswered(session: GuestSession, sealed: SealedInstruction): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.send(sealed);
    } catch (cause) {
      const turnedAway = cause instanceof ChannelError && cause.code === 'refused';
      if (!turnedAway || attempt === TRIES) throw unknownOutcome(sealed, cause);
      await pause(RETRY_MILLISECONDS);
    }
  }
}

const unknownOutcome = ({ id, instruction }: SealedInstruction, cause: unknown): InstructionError =>
  new InstructionError(
    'outcome-unknown',
    `the guest did not answer ${instruction.name} (${id}); it is asked again at the next connection: ${
      cause instanceof Error ? cause.message : String(cause)
    }`,
    { cause },
  );

function requireClosed(action: ActionRecord): ClosedAction {
  const { outcome } = action;
  if (!outcome) throw new TypeError(`the action ${action.id} was closed without an outcome`);
  return { ...action, outcome };
}

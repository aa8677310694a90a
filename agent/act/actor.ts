/**
 * Carries out acting commands: one at a time, each at most once, with its intent on disk before and its outcome
 * on disk after. A command that has begun is finished even when the session that gave it is gone.
 */
import type { Instruction, InstructionName, Outcome, SealedInstruction } from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import type { Accepted } from '../session/session.ts';
import { detailOf, outcomeOf } from './carry-out.ts';
import { HandLost, type Hands } from './hands.ts';
import type { Intent, Journal } from './journal.ts';
import { tellable } from './tellable.ts';
import { newWorkplaceName } from './workplace.ts';
import { Workplaces } from './workplaces.ts';

/** Staged content of the session that gives a command. */
export interface StagedContent {
  find(hash: string): string | undefined;
  drop(hash: string): void;
}

export interface ActorOptions {
  readonly hands: Pick<Hands, 'order'>;
  readonly journal: Journal;
  readonly denied: ReadonlySet<InstructionName>;
  log(line: string): void;
}

export class Actor {
  readonly workplaces = new Workplaces();
  private readonly options: ActorOptions;
  private readonly running = new Map<string, Promise<Outcome>>();
  private last: Promise<unknown> = Promise.resolve();

  constructor(options: ActorOptions) {
    this.options = options;
  }

  /** What the command comes to, or came to when it was first given. Rejects when that cannot be written down. */
  execute(sealed: SealedInstruction, accepted: Accepted, staged: StagedContent): Promise<Outcome> {
    const earlier = this.running.get(sealed.id) ?? this.options.journal.outcomeOf(sealed.id);
    if (earlier) return Promise.resolve(earlier);
    const turn = this.last.then(() => this.act(sealed, accepted, staged));
    this.running.set(sealed.id, turn);
    this.last = turn.catch(() => undefined).finally(() => this.running.delete(sealed.id));
    return turn;
  }

  /** Brings what the last run of the agent left unfinished to an end. To be called before any session. */
  async reconcile(): Promise<void> {
    const { journal, log } = this.options;
    for (const { intent, outcome } of journal.unfinished()) {
      log(`command ${intent.id} (${intent.name}) was not finished: tidying up`);
      const isDone = outcome?.code === 'done';
      const left = await this.tidy(intent, isDone);
      if (!outcome)
        journal.settle(intent.id, { code: 'interrupted', ...(left && { detail: detailOf(left) }) });
      if (left instanceof HandLost) this.tidyLater(intent, isDone, left);
      else journal.finish(intent.id);
    }
  }

  private async act(sealed: SealedInstruction, accepted: Accepted, staged: StagedContent): Promise<Outcome> {
    const { journal, log } = this.options;
    const { id, instruction } = sealed;
    const intent = intentOf(id, instruction);
    journal.begin(intent);
    if (intent.workplace) this.workplaces.begin(intent.workplace);
    let lost: HandLost | undefined;
    const reached = await this.effect(sealed, accepted, staged, intent).catch((error) => {
      if (error instanceof HandLost) lost = error;
      return outcomeOf(error);
    });
    const outcome = tellable(instruction.name, reached);
    journal.settle(id, outcome);
    log(`${instruction.name} ${id}: ${outcome.code}`);
    try {
      if (lost) throw lost;
      await this.options.hands.order({ finish: true });
      this.finished(intent);
    } catch (error) {
      // The outcome stands; what is left to tidy up is tried again, at the next start at the latest.
      log(`${instruction.name} ${id}: tidying up: ${messageOf(error)}`);
      if (error instanceof HandLost) this.tidyLater(intent, outcome.code === 'done', error);
    }
    return outcome;
  }

  private finished(intent: Intent): void {
    this.options.journal.finish(intent.id);
    if (intent.workplace) this.workplaces.end(intent.workplace);
  }

  /** Once the hand can do nothing any more, in its turn among the commands. */
  private tidyLater(intent: Intent, isDone: boolean, { gone }: HandLost): void {
    const tidy = async (): Promise<void> => {
      const left = await this.tidy(intent, isDone);
      // One that has ended at this very work would end again: the next start of the agent tries it once more.
      if (!(left instanceof HandLost)) this.finished(intent);
      else if (left.isHung) this.tidyLater(intent, isDone, left);
    };
    void gone.then(() => {
      this.last = this.last.then(tidy).catch((error) => this.options.log(messageOf(error)));
    });
  }

  private async effect(
    sealed: SealedInstruction,
    accepted: Accepted,
    staged: StagedContent,
    intent: Intent,
  ): Promise<Outcome> {
    this.check(sealed, accepted);
    const content = intent.content ? staged.find(intent.content) : undefined;
    const reply = await this.options.hands.order({
      act: sealed.instruction,
      workplace: intent.workplace ?? '',
      staged: content ?? null,
      ledger: this.options.journal.ledgerOf(intent.id),
    });
    if (!('outcome' in reply)) throw new Error('the hand answers what it was not asked');
    if (intent.content && reply.outcome.code === 'done') staged.drop(intent.content);
    return reply.outcome;
  }

  private check({ epoch, expires, instruction: { name } }: SealedInstruction, accepted: Accepted): void {
    if (this.options.denied.has(name)) {
      throw new OutcomeError('denied', `the guest's administrator denies ${name}`);
    }
    if (!accepted.granted.has(name)) throw new OutcomeError('not-granted', `${name} was not granted`);
    if (epoch !== accepted.epoch) throw new OutcomeError('wrong-epoch', `the epoch is ${accepted.epoch}`);
    if (accepted.clock.now() > expires) throw new OutcomeError('expired', 'it came after its expiry');
  }

  /** Why it could not be done, or what could not be given back; undefined when all is as it was. */
  private async tidy(intent: Intent, isDone: boolean): Promise<Error | undefined> {
    if (intent.path === undefined || intent.workplace === undefined) return undefined;
    try {
      const owed = this.options.journal.owedBy(intent.id);
      const reply = await this.options.hands.order({ tidy: { intent, isDone, owed } });
      return 'lost' in reply ? new OutcomeError('failed', reply.lost) : undefined;
    } catch (error) {
      this.options.log(`command ${intent.id}: ${messageOf(error)}`);
      return error as Error;
    }
  }
}

function intentOf(id: string, { name, target }: Instruction): Intent {
  if (!('path' in target)) return { id, name };
  const content = 'content' in target ? target.content : 'state' in target ? target.sha256 : undefined;
  return {
    id,
    name,
    path: target.path,
    workplace: newWorkplaceName(),
    ...(content !== undefined && { content }),
  };
}

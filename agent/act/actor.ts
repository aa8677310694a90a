/**
 * Carries out acting commands: one at a time, each at most once, with its intent on disk before and its outcome
 * on disk after. A command that has begun is finished even when the session that gave it is gone.
 */
import { closeSync } from 'node:fs';
import {
  encodeBytes,
  GuestPath,
  type Instruction,
  type InstructionName,
  type Outcome,
  ProtocolError,
  type SealedInstruction,
} from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import type { Root } from '../linux/root.ts';
import type { Accepted } from '../session/session.ts';
import { containFile, deleteFile, undoEviction } from './evict.ts';
import type { Intent, Journal } from './journal.ts';
import type { Protection } from './protection.ts';
import { restoreFile } from './restore.ts';
import { stopProcess } from './stop.ts';
import { undoUpdate, updateFile } from './update.ts';
import type { Effect, Work } from './work.ts';
import { newWorkplaceName, Workplace } from './workplace.ts';
import { Workplaces } from './workplaces.ts';

const LONGEST_DETAIL = 1024;

/** Staged content of the session that gives a command. */
export interface StagedContent {
  find(hash: string): string | undefined;
  drop(hash: string): void;
}

export interface ActorOptions {
  readonly root: Root;
  readonly protection: Protection;
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
      const detail = await this.tidy(intent, outcome);
      if (!outcome) journal.settle(intent.id, { code: 'interrupted', ...(detail && { detail }) });
      journal.finish(intent.id);
    }
  }

  private async act(sealed: SealedInstruction, accepted: Accepted, staged: StagedContent): Promise<Outcome> {
    const { journal, log } = this.options;
    const { id, instruction } = sealed;
    const intent = intentOf(id, instruction);
    journal.begin(intent);
    if (intent.workplace) this.workplaces.begin(intent.workplace);
    const { outcome, finish } = await this.effect(sealed, accepted, staged, intent).catch(failure);
    journal.settle(id, outcome);
    log(`${instruction.name} ${id}: ${outcome.code}`);
    try {
      finish?.();
      journal.finish(id);
    } catch (error) {
      // The outcome stands; what is left to tidy up is tried again at the next start.
      log(`${instruction.name} ${id}: tidying up: ${messageOf(error)}`);
    }
    if (intent.workplace) this.workplaces.end(intent.workplace);
    return outcome;
  }

  private async effect(
    sealed: SealedInstruction,
    accepted: Accepted,
    staged: StagedContent,
    intent: Intent,
  ): Promise<Effect> {
    this.check(sealed, accepted);
    const { root, protection } = this.options;
    const work: Work = {
      root,
      protection,
      workplace: intent.workplace ?? '',
      staged: (hash) => staged.find(hash),
    };
    const effect = await run(sealed.instruction, work);
    if (intent.content) staged.drop(intent.content);
    return effect;
  }

  private check({ epoch, expires, instruction: { name } }: SealedInstruction, accepted: Accepted): void {
    if (this.options.denied.has(name)) {
      throw new OutcomeError('denied', `the guest's administrator denies ${name}`);
    }
    if (!accepted.granted.has(name)) throw new OutcomeError('not-granted', `${name} was not granted`);
    if (epoch !== accepted.epoch) throw new OutcomeError('wrong-epoch', `the epoch is ${accepted.epoch}`);
    if (accepted.clock.now() > expires) throw new OutcomeError('expired', 'it came after its expiry');
  }

  /** Says what it could not do; undefined when all is as it was. */
  private async tidy(intent: Intent, outcome: Outcome | undefined): Promise<string | undefined> {
    if (intent.path === undefined || intent.workplace === undefined) return undefined;
    try {
      const path = GuestPath.of(intent.path);
      const parent = this.options.root.openParent(path);
      try {
        const workplace = Workplace.open(parent, path.name, intent.workplace);
        if (outcome) workplace.discardFile();
        else await undo(intent, workplace);
        workplace.remove();
      } finally {
        closeSync(parent);
      }
      return undefined;
    } catch (error) {
      // No workplace: it was not made yet, or had been removed already.
      if (errnoOf(error) === 'ENOENT') return undefined;
      this.options.log(`command ${intent.id}: ${messageOf(error)}`);
      return messageOf(error).slice(0, LONGEST_DETAIL);
    }
  }
}

function run(instruction: Instruction, work: Work): Promise<Effect> {
  switch (instruction.name) {
    case 'stop:process':
      return stopProcess(instruction.target, work);
    case 'contain:file':
      return containFile(instruction.target, work);
    case 'delete:file':
      return deleteFile(instruction.target, work);
    case 'restore:file':
      return restoreFile(instruction.target, work);
    case 'update:file':
      return updateFile(instruction.target, work);
  }
}

async function undo({ name, content }: Intent, workplace: Workplace): Promise<void> {
  if (name === 'restore:file') workplace.discardFile();
  else if (name === 'update:file') await undoUpdate(workplace, content ?? null);
  else undoEviction(workplace);
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

function failure(error: unknown): Effect {
  const detail = messageOf(error).slice(0, LONGEST_DETAIL);
  if (error instanceof OutcomeError) {
    const { code, putBackAs } = error;
    return { outcome: { code, detail, ...(putBackAs && { putBackAs: encodeBytes(putBackAs) }) } };
  }
  if (error instanceof ProtocolError) return { outcome: { code: 'malformed', detail } };
  const errno = errnoOf(error);
  const isGone = errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ESRCH';
  return { outcome: { code: isGone ? 'vanished' : 'failed', detail } };
}

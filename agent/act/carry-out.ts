/** What a hand does: carries out one instruction, and tidies up after one that was not brought to its end. */
import { closeSync } from 'node:fs';
import {
  encodeBytes,
  GuestPath,
  type Instruction,
  type Outcome,
  ProtocolError,
} from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import type { Root } from '../linux/root.ts';
import { containFile, deleteFile, undoEviction } from './evict.ts';
import type { Intent } from './journal.ts';
import { Debts, type OwedFlags } from './lifted-flags.ts';
import { obstacleOf } from './obstacle.ts';
import { restoreFile } from './restore.ts';
import { stopProcess } from './stop.ts';
import { undoUpdate, updateFile } from './update.ts';
import type { Effect, Work } from './work.ts';
import { Workplace } from './workplace.ts';

const LONGEST_DETAIL = 1024;

/** Carries out an instruction; what goes wrong is an outcome too. */
export const effectOf = (instruction: Instruction, work: Work): Promise<Effect> =>
  run(instruction, work).catch((error) => ({ outcome: outcomeOf(error) }));

async function run(instruction: Instruction, work: Work): Promise<Effect> {
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

/** What is left to do of a command: finished where it was done, undone where it was not. */
export interface Leftover {
  readonly intent: Intent;
  readonly isDone: boolean;
  /** Attributes that were lifted; they may be in place again. */
  readonly owed: readonly OwedFlags[];
}

/** Gives in words what could not be given back; undefined when all is as it was, or was removed for good. */
export async function tidyUp({ intent, isDone, owed }: Leftover, root: Root): Promise<string | undefined> {
  const path = GuestPath.of(intent.path ?? '/');
  try {
    const parent = root.openParent(path);
    try {
      using debts = new Debts(owed, { parent, name: path.name, workplace: intent.workplace ?? '' });
      let lost: string[] = [];
      try {
        await tidyWorkplace(intent, isDone, parent, path.name);
      } finally {
        lost = debts.settle();
      }
      return isDone || lost.length === 0 ? undefined : lost.join('; ');
    } finally {
      closeSync(parent);
    }
  } catch (error) {
    // The directory itself is gone, with all that was in it.
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

async function tidyWorkplace(intent: Intent, isDone: boolean, parent: number, name: Buffer): Promise<void> {
  try {
    const workplace = Workplace.open(parent, name, intent.workplace ?? '');
    if (isDone) workplace.discardFile();
    else await undo(intent, workplace);
    workplace.remove();
  } catch (error) {
    // No workplace: it was not made yet, or had been removed already.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

async function undo({ name, content }: Intent, workplace: Workplace): Promise<void> {
  if (name === 'restore:file') workplace.discardFile();
  else if (name === 'update:file') await undoUpdate(workplace, content ?? null);
  else undoEviction(workplace);
}

export const detailOf = (error: unknown): string => messageOf(error).slice(0, LONGEST_DETAIL);

export function outcomeOf(error: unknown): Outcome {
  const obstacle = obstacleOf(error);
  const told = { detail: detailOf(error), ...(obstacle && { obstacle }) };
  if (error instanceof OutcomeError) {
    const { code, putBackAs } = error;
    return { code, ...told, ...(putBackAs && { putBackAs: encodeBytes(putBackAs) }) };
  }
  if (error instanceof ProtocolError) return { code: 'malformed', ...told };
  const errno = errnoOf(error);
  const isGone = errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ESRCH';
  return { code: isGone ? 'vanished' : 'failed', ...told };
}

/**
 * Attributes that keep even root from removing a file (`chattr +i`, `+a`), of the file or of the directory that it
 * stands in. They are lifted while it is acted upon. What is lifted is written down before, so that an agent that
 * died puts it back at its next start.
 */
import { closeSync } from 'node:fs';
import { z } from 'zod';
import { FILE_FLAGS, FileFlag } from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { clearFlags, readFlags, setFlags } from '../linux/flags.ts';
import { openRegular } from '../linux/root.ts';
import { FileStatus } from '../linux/status.ts';
import { Workplace } from './workplace.ts';

/** What is owed to one inode, named so that no other is taken for it. */
export const OwedFlags = z.strictObject({
  of: z.enum(['file', 'parent']),
  /** `dev:ino` */
  identity: z.string(),
  flags: z.array(FileFlag).min(1).max(FILE_FLAGS.length),
});
export type OwedFlags = z.output<typeof OwedFlags>;

/** Makes it durable that flags are owed. */
export type Owe = (owed: OwedFlags) => void;

/** Clears what keeps an open file or directory from being changed; gives what that was. */
export function liftFlags(of: OwedFlags['of'], descriptor: number, owe: Owe): readonly FileFlag[] {
  const flags = readFlags(descriptor);
  if (flags.length === 0) return flags;
  owe({ of, identity: FileStatus.ofDescriptor(descriptor).identity, flags });
  try {
    clearFlags(descriptor, flags);
  } catch (cause) {
    if (errnoOf(cause) !== 'EPERM') throw cause;
    const what = of === 'file' ? 'it' : 'its directory';
    const message = `${what} is ${flags.join(' and ')}, and the agent may not clear that: ${messageOf(cause)}`;
    throw new OutcomeError('failed', message, { cause, obstacle: 'immutable' });
  }
  return flags;
}

/** Puts flags back; nothing is done for an inode that has no name any more. */
export function returnFlags(descriptor: number, flags: readonly FileFlag[]): void {
  if (flags.length === 0 || FileStatus.ofDescriptor(descriptor).links === 0) return;
  setFlags(descriptor, flags);
}

/** Where an agent that died was at work. */
interface Site {
  readonly parent: number;
  readonly name: Buffer;
  readonly workplace: string;
}

interface Debtor {
  readonly owed: OwedFlags;
  /** Undefined when it is neither in its place nor in the workplace. */
  readonly descriptor: number | undefined;
}

/** What an agent that died owes, found before its work is tidied up, for that moves the file. */
export class Debts {
  private readonly parent: number;
  private readonly debtors: readonly Debtor[];

  constructor(owed: readonly OwedFlags[], site: Site) {
    this.parent = site.parent;
    this.debtors = owed.map((each) => ({ owed: each, descriptor: find(each, site) }));
    // They may be back already, and would keep what was left from being tidied up.
    for (const { owed: each, descriptor } of this.debtors) {
      if (each.of === 'parent' && descriptor !== undefined) clearFlags(descriptor, each.flags);
    }
  }

  /** Gives in words what could not be found. Throws SystemError. */
  settle(): string[] {
    const lost: string[] = [];
    for (const { owed, descriptor } of this.debtors) {
      if (descriptor !== undefined) returnFlags(descriptor, owed.flags);
      else lost.push(`the ${owed.of} that was ${owed.flags.join(' and ')} is not where it was`);
    }
    return lost;
  }

  [Symbol.dispose](): void {
    for (const { descriptor } of this.debtors) {
      if (descriptor !== undefined && descriptor !== this.parent) closeSync(descriptor);
    }
  }
}

function find({ of, identity }: OwedFlags, { parent, name, workplace }: Site): number | undefined {
  if (of === 'parent') return FileStatus.ofDescriptor(parent).identity === identity ? parent : undefined;
  for (const path of [name, Workplace.fileIn(workplace)]) {
    const file = openIfThere(parent, path);
    if (file?.status.identity === identity) return file.descriptor;
    if (file) closeSync(file.descriptor);
  }
  return undefined;
}

function openIfThere(parent: number, path: Buffer) {
  try {
    return openRegular(parent, path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

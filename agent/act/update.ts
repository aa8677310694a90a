/**
 * update:file: a file whose old content is known gets a new one, is created where none is, or is removed. The
 * new file is made ready in a workplace and takes its place in one step; what came out is looked at, and
 * when it is not what was expected the two change places again.
 */
import { closeSync, fchmodSync, fchownSync } from 'node:fs';
import type { UpdateTarget } from '../../protocol/index.ts';
import { OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { type OpenedFile, openRegular } from '../linux/root.ts';
import { readAttributes, setAttribute } from '../linux/xattr.ts';
import { digest } from './digest.ts';
import { putBack } from './evict.ts';
import { makeFile } from './fresh-file.ts';
import { placeFresh } from './restore.ts';
import { type Effect, inWorkplace, type Work } from './work.ts';
import type { Workplace } from './workplace.ts';

const CREATED_MODE = 0o644;

export function updateFile(target: UpdateTarget, work: Work): Promise<Effect> {
  const { expect, content } = target;
  return inWorkplace(target.path, work, (workplace) => {
    if (expect === null && content !== null) return create(workplace, target, content, work);
    if (expect !== null && content !== null) return replace(workplace, target, expect, content, work);
    if (expect !== null) return remove(workplace, expect, work);
    throw new OutcomeError('malformed', 'an update needs an old or a new content');
  });
}

async function create(
  workplace: Workplace,
  target: UpdateTarget,
  content: string,
  work: Work,
): Promise<Effect> {
  await makeFile(workplace, content, work, (descriptor) => {
    if (target.uid !== undefined || target.gid !== undefined) {
      fchownSync(descriptor, target.uid ?? process.geteuid?.() ?? 0, target.gid ?? process.getegid?.() ?? 0);
    }
    fchmodSync(descriptor, target.mode ?? CREATED_MODE);
  });
  placeFresh(workplace);
  return { outcome: { code: 'done' } };
}

async function replace(
  workplace: Workplace,
  target: UpdateTarget,
  expect: string,
  content: string,
  work: Work,
): Promise<Effect> {
  const old = openRegular(workplace.parent, workplace.name);
  if (!old) throw new OutcomeError('changed', 'it is no regular file any more');
  try {
    await checkContent(old, expect, work);
    await makeFile(workplace, content, work, (descriptor) => inherit(descriptor, old, target));
  } finally {
    closeSync(old.descriptor);
  }
  const ours = identityOf(workplace);
  exchange(workplace);
  try {
    await checkTaken(workplace, expect, work);
  } catch (error) {
    throw exchangeBack(workplace, ours, error);
  }
  return { outcome: { code: 'done' }, finish: () => workplace.discardFile() };
}

function exchange(workplace: Workplace): void {
  try {
    workplace.exchange();
  } catch (error) {
    workplace.discardFile();
    throw error;
  }
}

/**
 * The error to end with, once the old file is back. What comes out in its stead should be ours; when somebody
 * has put another file there meanwhile, that is not ours to remove and is put beside.
 */
function exchangeBack(workplace: Workplace, ours: string | undefined, error: unknown): unknown {
  workplace.exchange();
  if (identityOf(workplace) !== ours) return putBack(workplace, error);
  workplace.discardFile();
  return error;
}

/** `dev:ino` of the regular file in a workplace. */
function identityOf(workplace: Workplace): string | undefined {
  const file = workplace.look();
  if (file) closeSync(file.descriptor);
  return file?.status.identity;
}

async function remove(workplace: Workplace, expect: string, work: Work): Promise<Effect> {
  workplace.take();
  try {
    await checkTaken(workplace, expect, work);
  } catch (error) {
    throw putBack(workplace, error);
  }
  return { outcome: { code: 'done' }, finish: () => workplace.discardFile() };
}

/** What stood in place and lies in the workplace now. */
async function checkTaken(workplace: Workplace, expect: string, work: Work): Promise<void> {
  const taken = workplace.look();
  if (!taken) throw new OutcomeError('changed', 'it is no regular file any more');
  try {
    await checkContent(taken, expect, work);
  } finally {
    closeSync(taken.descriptor);
  }
}

async function checkContent({ descriptor, status }: OpenedFile, expect: string, work: Work): Promise<void> {
  work.protection.checkFile(status);
  const actual = await digest(descriptor);
  if (actual !== expect) throw new OutcomeError('changed', `its content is now ${actual}`);
}

/** Owner, attributes and mode of the old file, but for what the target sets. */
function inherit(descriptor: number, old: OpenedFile, target: UpdateTarget): void {
  fchownSync(descriptor, target.uid ?? old.status.uid, target.gid ?? old.status.gid);
  for (const attribute of readAttributes(old.descriptor)) setAttribute(descriptor, attribute);
  fchmodSync(descriptor, (target.mode ?? old.status.mode) & 0o7777);
}

/**
 * After an agent that died: a workplace with the new content still in it had not got to the exchange; anything
 * else in it came out of the file's place, and goes back.
 */
export async function undoUpdate(workplace: Workplace, content: string | null): Promise<void> {
  const held = await contentOf(workplace);
  if (held === content) {
    workplace.discardFile();
  } else if (held !== NOTHING && !tryPutBack(workplace)) {
    workplace.exchange();
    if ((await contentOf(workplace)) === content) workplace.discardFile();
    else workplace.putBack();
  }
}

/** False when something stands in its place. */
function tryPutBack(workplace: Workplace): boolean {
  try {
    workplace.place();
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return false;
  }
}

const NOTHING = Symbol('nothing');

/** SHA-256 of the workplace's file; undefined when that is no regular file. */
async function contentOf(workplace: Workplace): Promise<string | undefined | typeof NOTHING> {
  let file: OpenedFile | undefined;
  try {
    file = workplace.look();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return NOTHING;
    throw error;
  }
  if (!file) return undefined;
  try {
    return await digest(file.descriptor);
  } finally {
    closeSync(file.descriptor);
  }
}

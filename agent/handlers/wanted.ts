/** What a content request names, opened: regular files only, no larger than asked for. */

import { closeSync } from 'node:fs';
import {
  type ContentFailure,
  type ContentFault,
  type ContentRequest,
  GuestPath,
} from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { openExecutable } from '../linux/process.ts';
import type { OpenedFile, Root } from '../linux/root.ts';

/** A file by its path, or the executable of a process. */
export type Wanted = GuestPath | { readonly pid: number; readonly start: string };

const LONGEST_DETAIL = 256;

/** Why a file has no content to be told of. */
export class UnreadableFile extends Error {
  readonly failure: ContentFailure;

  constructor(reason: ContentFault, detail?: string) {
    super(detail ?? reason);
    this.failure = { reason, ...(detail && { detail: detail.slice(0, LONGEST_DETAIL) }) };
  }
}

/** Throws ProtocolError for a path that cannot name anything. */
export const wantedOf = (file: ContentRequest['files'][number]): Wanted =>
  'path' in file ? GuestPath.of(file.path) : file;

/** The descriptor is the caller's to close. Throws UnreadableFile. */
export function openWanted(wanted: Wanted, root: Root, maxFileBytes: number): OpenedFile {
  const file = open(wanted, root);
  if (!file) throw new UnreadableFile('not-regular');
  if (file.status.size <= maxFileBytes) return file;
  closeSync(file.descriptor);
  throw new UnreadableFile('too-large');
}

function open(wanted: Wanted, root: Root): OpenedFile | undefined {
  try {
    return wanted instanceof GuestPath
      ? root.openRegular(wanted)
      : openExecutable(wanted.pid, wanted.start, root);
  } catch (error) {
    throw new UnreadableFile(faultOf(error), messageOf(error));
  }
}

function faultOf(error: unknown): ContentFault {
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ESRCH':
      return 'vanished';
    case 'ELOOP':
      return 'not-regular';
    case 'EIO':
      return 'io-error';
    default:
      return 'unreadable';
  }
}

/** What a content request names, opened: regular files only, no larger than asked for. */

import { closeSync } from 'node:fs';
import {
  type ContentFailure,
  type ContentFault,
  type ContentRequest,
  encodeBytes,
  GuestPath,
  type WireBytes,
} from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { AUTOMOUNT } from '../linux/mounts.ts';
import { openExecutable } from '../linux/process.ts';
import type { OpenedFile, Root } from '../linux/root.ts';
import type { JobParts } from '../reader/job-run.ts';
import { unresponsiveDetail } from './unresponsive.ts';

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

/** As `openWanted`, for an item of a job; what no call comes back from is left alone. */
export function openUnavoided(
  wanted: Wanted,
  item: number,
  maxFileBytes: number,
  { root, mounts, avoided, pad, number }: JobParts,
): OpenedFile {
  const bytes = wanted instanceof GuestPath ? wanted.bytes : undefined;
  const mount = bytes && mounts.holding(bytes);
  if (mount?.type === AUTOMOUNT) throw new UnreadableFile('unreadable', 'automounts are not triggered');
  const isAvoided = mount !== undefined && avoided.mounts.some((each) => isSame(each, mount.path));
  if (isAvoided || avoided.items.includes(item))
    throw new UnreadableFile('unresponsive', unresponsiveDetail(mount));
  pad.at(number, item, bytes ?? Buffer.alloc(0));
  return openWanted(wanted, root, maxFileBytes);
}

const isSame = (wire: WireBytes, path: Buffer): boolean =>
  JSON.stringify(wire) === JSON.stringify(encodeBytes(path));

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

/** Small files of a guest, read over the channel one at a time, for patches to look at. */
import { createHash } from 'node:crypto';
import {
  ContentFailure,
  type ContentRecord,
  displayText,
  FileFacts,
  GuestPath,
  parseMessage,
  RECORD,
} from '../../protocol/index.ts';
import type { GuestFile, GuestReader } from '../api/index.ts';
import type { GuestSession } from '../channel/session.ts';
import { PatchError } from '../error.ts';

/** Configuration files are small; what is larger is not one. */
const LARGEST_BYTES = 4 * 1024 * 1024;
const PERMISSIONS = 0o7777;

export class ChannelGuestReader implements GuestReader {
  private readonly session: GuestSession;
  private readonly signal: AbortSignal | undefined;

  constructor(session: GuestSession, signal?: AbortSignal) {
    this.session = session;
    this.signal = signal;
  }

  /** Rejects with PatchError `unreadable` when a file is there and cannot be had, and with ChannelError. */
  async readFile(path: string): Promise<GuestFile | undefined> {
    const request = { files: [{ path: GuestPath.of(path).wire }], maxFileBytes: LARGEST_BYTES };
    const parts: Buffer[] = [];
    let facts: FileFacts | undefined;
    let whole = false;
    for await (const records of this.session.readContent(request, this.signal)) {
      for (const { kind, payload } of records) {
        if (kind === RECORD.open) facts = parseMessage(FileFacts, payload);
        else if (kind === RECORD.data) parts.push(Buffer.from(payload));
        else if (kind === RECORD.end) whole = true;
        else if (isVanished(payload)) return undefined;
        else throw unreadable(path, payload);
      }
    }
    if (!facts || !whole)
      throw new PatchError('unreadable', `${displayText(path)} did not come whole: try again`);
    const content = Buffer.concat(parts);
    const { uid, gid } = facts;
    return { content, sha256: sha256Of(content), mode: facts.mode & PERMISSIONS, uid, gid };
  }
}

export const sha256Of = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

const isVanished = (untrusted: ContentRecord['payload']): boolean =>
  parseMessage(ContentFailure, untrusted).reason === 'vanished';

function unreadable(path: string, untrusted: ContentRecord['payload']): PatchError {
  const { reason, detail } = parseMessage(ContentFailure, untrusted);
  const more = detail === undefined ? '' : ` (${displayText(detail)})`;
  return new PatchError('unreadable', `${displayText(path)} cannot be read in the guest: ${reason}${more}`);
}

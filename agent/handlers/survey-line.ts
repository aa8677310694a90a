/**
 * What a survey's line says of a directory besides its files: who may change it, and its symbolic links. By them
 * the host learns which files the guest rests on, so only what root alone can put there may count.
 */
import { type DirectoryAccess, encodeBytes, LIMITS, type LinkEntry } from '../../protocol/index.ts';
import { readLink } from '../linux/calls.ts';
import type { DirectoryEntry } from '../linux/directory.ts';
import type { FileStatus } from '../linux/status.ts';

const WRITABLE_BY_OTHERS = 0o022;
const ROOT = 0;
/** A line is far below the limit of a message then, whatever the names are. */
const LINE_CHARACTERS = LIMITS.messageBytes / 4;

export class SurveyLine {
  readonly access: DirectoryAccess;
  /** Nobody but root can change what is in the directory. */
  readonly isRootsAlone: boolean;
  private links: LinkEntry[] = [];
  private characters = 0;

  /** `rootOwner`: who owns the guest's `/`. */
  constructor({ mode, uid, gid }: FileStatus, rootOwner: number) {
    this.access = [mode, uid, gid];
    this.isRootsAlone = (uid === ROOT || uid === rootOwner) && (mode & WRITABLE_BY_OTHERS) === 0;
  }

  /** Throws SystemError. */
  addLink(directory: number, { name, terminated }: DirectoryEntry): void {
    const target = readLink(directory, terminated);
    this.links.push([encodeBytes(name), encodeBytes(target)]);
    this.characters += 2 * (name.length + target.length);
  }

  /** The line has to be sent before more links are added. */
  get isFull(): boolean {
    return this.links.length === LIMITS.inventoryLineEntries || this.characters >= LINE_CHARACTERS;
  }

  /** Members of the line, behind its files; forgets the links, which are told once. */
  take(): string {
    const { links } = this;
    [this.links, this.characters] = [[], 0];
    return `,"access":${JSON.stringify(this.access)},"links":${JSON.stringify(links)}`;
  }
}

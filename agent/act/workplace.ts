/**
 * A private directory beside a file that is acted upon. What is renamed into it is out of everybody's reach,
 * on the same file system, and can be looked at in peace: nobody can swap it between the look and the act.
 * Everything goes through descriptors, so that renaming the directories above changes nothing.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync } from 'node:fs';
import {
  link,
  makeDirectory,
  openDirectory,
  removeDirectory,
  renameExchange,
  renameNoReplace,
  unlink,
} from '../linux/calls.ts';
import { errnoOf } from '../linux/error.ts';
import { type OpenedFile, openRegular } from '../linux/root.ts';
import { FileStatus } from '../linux/status.ts';
import { removeAttribute } from '../linux/xattr.ts';
import { WORKPLACE_PREFIX } from './workplaces.ts';

const ONLY_US = 0o700;
const LONGEST_NAME = 255;
/** The one file in a workplace. */
const FILE = Buffer.from('file');

export const newWorkplaceName = (): string => `${WORKPLACE_PREFIX}${randomBytes(8).toString('hex')}`;

export class Workplace {
  /** The directory that the file stands in, and its name there. */
  readonly parent: number;
  readonly name: Buffer;
  readonly descriptor: number;
  readonly identity: string;
  private readonly ownName: Buffer;

  private constructor(parent: number, name: Buffer, ownName: Buffer, descriptor: number, identity: string) {
    this.parent = parent;
    this.name = name;
    this.ownName = ownName;
    this.descriptor = descriptor;
    this.identity = identity;
  }

  static make(parent: number, name: Buffer, ownName: string): Workplace {
    makeDirectory(parent, Buffer.from(ownName), ONLY_US);
    const workplace = Workplace.open(parent, name, ownName);
    // A default ACL of the parent would be handed down to what is made in here.
    removeAttribute(workplace.descriptor, 'system.posix_acl_default');
    return workplace;
  }

  /** Opens one that is there already; throws when it is not ours alone. */
  static open(parent: number, name: Buffer, ownName: string): Workplace {
    const own = Buffer.from(ownName);
    const descriptor = openDirectory(parent, own);
    const status = FileStatus.ofDescriptor(descriptor);
    if (status.uid === process.geteuid?.() && (status.mode & 0o777) === ONLY_US) {
      return new Workplace(parent, name, own, descriptor, status.identity);
    }
    closeSync(descriptor);
    throw new Error(`${ownName} is not the agent's own directory: somebody has put another in its place`);
  }

  /** Where the file of a workplace of this name lies, below the directory that it was made in. */
  static fileIn(ownName: string): Buffer {
    return Buffer.concat([Buffer.from(`${ownName}/`), FILE]);
  }

  /** The path of its file, relative to its descriptor. */
  get file(): Buffer {
    return FILE;
  }

  /** Takes the file out of its place. */
  take(): void {
    renameNoReplace(this.parent, this.name, this.descriptor, FILE);
  }

  /** Puts its file where none is; EEXIST when the name is taken. */
  place(name = this.name): void {
    try {
      renameNoReplace(this.descriptor, FILE, this.parent, name);
    } catch (error) {
      // Some file systems know no such rename; a link does not clobber either.
      if (errnoOf(error) !== 'EINVAL') throw error;
      link(this.descriptor, FILE, this.parent, name);
      unlink(this.descriptor, FILE);
    }
    fsyncSync(this.parent);
  }

  /** Its file for the one that stands in place, in one step. */
  exchange(): void {
    renameExchange(this.descriptor, FILE, this.parent, this.name);
    fsyncSync(this.parent);
  }

  /** Puts a taken file back; the name that it had to be given when its own was taken meanwhile. */
  putBack(): Buffer | undefined {
    for (let name = this.name; ; name = besides(this.name)) {
      try {
        this.place(name);
        return name === this.name ? undefined : name;
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
    }
  }

  /** Its file, opened; undefined when that is no regular file. Throws ENOENT when there is none. */
  look(): OpenedFile | undefined {
    return openRegular(this.descriptor, FILE);
  }

  discardFile(): void {
    try {
      unlink(this.descriptor, FILE);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Removes it; it must be empty. */
  remove(): void {
    try {
      removeDirectory(this.parent, this.ownName);
    } catch (error) {
      // Whoever may write to the parent can have moved it; what was in it has been dealt with.
      if (errnoOf(error) !== 'ENOENT') throw error;
    } finally {
      closeSync(this.descriptor);
    }
  }
}

function besides(name: Buffer): Buffer {
  const ending = Buffer.from(`.lazaret-${randomBytes(4).toString('hex')}`);
  return Buffer.concat([name.subarray(0, LONGEST_NAME - ending.length), ending]);
}

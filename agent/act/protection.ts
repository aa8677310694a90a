/** What is never acted upon, whoever orders it: the agent itself and what it rests on. */
import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { OutcomeError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { FileStatus, unsigned } from '../linux/status.ts';

export interface Possessions {
  /** Directories of the agent's own; nothing in them is touched or listed. */
  readonly directories: readonly string[];
  /** The agent's program and its configuration, there or not. */
  readonly files: readonly string[];
}

export class Protection {
  /** `dev:ino` of directories whose entries are protected. */
  private readonly directories: Set<string>;
  /** `dev:ino` of protected files, whatever their name. */
  private readonly files: Set<string>;
  /** `dev:ino/name`: protected whether or not there is such a file. */
  private readonly names: Set<string>;

  constructor(possessions: Possessions) {
    const files = possessions.files.map((file) => resolve(file));
    this.directories = new Set(possessions.directories.flatMap(identityOf));
    this.files = new Set(files.flatMap(identityOf));
    this.names = new Set(
      files.flatMap((file) => identityOf(dirname(file)).map((parent) => `${parent}/${basename(file)}`)),
    );
  }

  /** Directories of the agent's own (`dev:ino`), in which nothing is listed. */
  get ownDirectories(): readonly string[] {
    return [...this.directories];
  }

  /** Throws OutcomeError `protected` when `name` in an open directory is ours. */
  checkName(parent: number, name: Buffer): void {
    const { identity } = FileStatus.ofDescriptor(parent);
    if (this.directories.has(identity) || this.names.has(`${identity}/${name.toString()}`)) refuse();
  }

  /** Throws OutcomeError `protected` when an open file is ours, by whatever name it was opened. */
  checkFile(status: FileStatus): void {
    if (this.files.has(status.identity)) refuse();
  }
}

function refuse(): never {
  throw new OutcomeError('protected', 'it belongs to the agent itself');
}

function identityOf(path: string): string[] {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return [`${unsigned(dev)}:${unsigned(ino)}`];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

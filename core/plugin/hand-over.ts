/**
 * Hands files of the spool to a child process: each is linked into a directory that this child alone may read,
 * for as long as it is asked about it. A hard link costs microseconds and no memory; what lies on another file
 * system is copied.
 */
import { constants, copyFileSync, linkSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer, Subject } from '../api/index.ts';
import { SpoolDirectory } from '../scan/spool-directory.ts';

/** Subjects as a child gets them, until they are disposed of. */
export interface Handed extends Disposable {
  readonly subjects: readonly Subject[];
  /** For those whose content is gone, or could not be handed over. */
  readonly unscanned: readonly Answer[];
}

export class HandOver implements Disposable {
  private readonly places: readonly SpoolDirectory[];
  private serial = 0;

  /** One private directory in each of `parents`, which should be where contents lie. What a crash left is swept. */
  constructor(parents: readonly string[]) {
    this.places = parents.map((parent) => {
      mkdirSync(parent, { recursive: true, mode: 0o700 });
      return SpoolDirectory.create(parent);
    });
  }

  /** Where files are handed over. */
  get directories(): readonly string[] {
    return this.places.map(({ path }) => path);
  }

  give(subjects: readonly Subject[]): Handed {
    const given: Subject[] = [];
    const unscanned: Answer[] = [];
    for (const subject of subjects) {
      try {
        given.push(this.giveOne(subject));
      } catch (error) {
        unscanned.push({ subject: subject.id, unscanned: 'io-error', detail: (error as Error).message });
      }
    }
    const contents = given.flatMap((subject) => (subject.kind === 'file' ? subject.content : []));
    const takeBack = () => {
      for (const content of contents) if (content !== '') rmSync(content, { force: true });
    };
    return { subjects: given, unscanned, [Symbol.dispose]: takeBack };
  }

  private giveOne(subject: Subject): Subject {
    // A detector that reads digests alone gets no content.
    if (subject.kind !== 'file' || subject.content === '') return subject;
    const path = join(this.placeFor(subject.content), String(++this.serial));
    try {
      linkSync(subject.content, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
      copyFileSync(subject.content, path, constants.COPYFILE_EXCL);
    }
    return { ...subject, content: path };
  }

  private placeFor(content: string): string {
    const { dev } = statSync(content);
    const [first = ''] = this.directories;
    return this.directories.find((directory) => statSync(directory).dev === dev) ?? first;
  }

  [Symbol.dispose](): void {
    for (const place of this.places) place[Symbol.dispose]();
  }
}

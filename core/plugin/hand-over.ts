/**
 * Hands files of the spool to a child process: each is linked into a directory that this child alone may read,
 * for as long as it is asked about it. A hard link costs microseconds and no memory; what lies on another file
 * system is copied.
 */
import { constants, copyFileSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Subject } from '../api/index.ts';

export class HandOver implements Disposable {
  readonly directories: readonly string[];
  private serial = 0;

  /** One private directory in each of `parents`, which should be where contents lie. */
  constructor(parents: readonly string[]) {
    this.directories = parents.map((parent) => {
      mkdirSync(parent, { recursive: true, mode: 0o700 });
      return mkdtempSync(join(parent, 'lazaret-plugin-'));
    });
  }

  /** The subject as the child gets it, and how to take its content back. Throws when the content is gone. */
  give(subject: Subject): { readonly subject: Subject; takeBack(): void } {
    if (subject.kind !== 'file' || subject.content === '') return { subject, takeBack: () => undefined };
    const path = join(this.placeFor(subject.content), String(++this.serial));
    try {
      linkSync(subject.content, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
      copyFileSync(subject.content, path, constants.COPYFILE_EXCL);
    }
    return { subject: { ...subject, content: path }, takeBack: () => rmSync(path, { force: true }) };
  }

  private placeFor(content: string): string {
    const { dev } = statSync(content);
    const [first = ''] = this.directories;
    return this.directories.find((directory) => statSync(directory).dev === dev) ?? first;
  }

  [Symbol.dispose](): void {
    for (const directory of this.directories) rmSync(directory, { recursive: true, force: true });
  }
}

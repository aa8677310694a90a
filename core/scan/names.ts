/**
 * Names of inodes in which something was found. A file that has more names than the scan met stays in the guest under
 * the others when those that were met are taken away; the finding says so.
 */
import type { FileFacts } from '../../protocol/index.ts';
import type { FileNames } from '../store/records.ts';

/** Findings that are kept apart by inode; where there are more, only how many names each has is told. */
const MOST_FINDINGS = 65_536;

interface Inode {
  all: number;
  readonly findings: Set<string>;
}

export class Names {
  private readonly most: number;
  private readonly inodes = new Map<string, Inode>();
  private findings = 0;
  private isCut = false;

  constructor(most = MOST_FINDINGS) {
    this.most = most;
  }

  /** A finding of this content was made under one name of this inode, which had so many when it was opened. */
  note(finding: string, { dev, ino, links }: Pick<FileFacts, 'dev' | 'ino' | 'links'>, sha256: string): void {
    // With its content: an inode that is free again is another file's soon.
    const key = `${dev}:${ino}:${sha256}`;
    const known = this.inodes.get(key);
    // One that has a single name now had others, if those were found and taken away.
    if (!known && links < 2) return;
    if (this.findings >= this.most) {
      this.isCut = true;
      return;
    }
    const inode = known ?? { all: 0, findings: new Set() };
    inode.all = Math.max(inode.all, links);
    if (!inode.findings.has(finding)) this.findings += 1;
    inode.findings.add(finding);
    this.inodes.set(key, inode);
  }

  /** For each finding of a file with several names, when the scan has met all that it will meet. */
  *counted(): Generator<readonly [finding: string, names: FileNames]> {
    for (const { all, findings } of this.inodes.values()) {
      const found = findings.size;
      const names = this.isCut ? { all } : { all: Math.max(all, found), found };
      for (const finding of findings) yield [finding, names];
    }
  }
}

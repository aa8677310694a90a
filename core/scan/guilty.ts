/**
 * What was found in files that are still there, by inode: processes run them. A guest full of malware has more than
 * any process list: past a bound no more is kept, and what was not is counted.
 */
import type { AttributedDetection } from './verdict.ts';

export const MOST_GUILTY_CHARACTERS = 2 * 1024 * 1024;
/** What an entry, and each detection in it, takes besides its text, told in characters. */
const OVERHEAD = 200;

export class Guilty {
  /** Files of which it was not kept what was found. */
  cut = 0;
  private readonly byInode = new Map<string, readonly AttributedDetection[]>();
  private room: number;

  constructor(mostCharacters = MOST_GUILTY_CHARACTERS) {
    this.room = mostCharacters;
  }

  get(inode: string): readonly AttributedDetection[] | undefined {
    return this.byInode.get(inode);
  }

  set(inode: string, detections: readonly AttributedDetection[]): void {
    this.delete(inode);
    const needed = charactersOf(inode, detections);
    if (needed > this.room) {
      this.cut += 1;
      return;
    }
    this.room -= needed;
    this.byInode.set(inode, detections);
  }

  delete(inode: string): void {
    const detections = this.byInode.get(inode);
    if (!detections) return;
    this.room += charactersOf(inode, detections);
    this.byInode.delete(inode);
  }
}

const charactersOf = (inode: string, detections: readonly AttributedDetection[]): number =>
  detections.reduce(
    (sum, { name, source = '', description = '' }) =>
      sum + OVERHEAD + name.length + source.length + description.length,
    OVERHEAD + inode.length,
  );

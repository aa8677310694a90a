/**
 * Files that start something, and what turned out to be malicious: where the two meet, the starting file is to be
 * looked at again, wherever the scan is by then. Its content is gone from the spool, so it is fetched anew.
 */
import type { Judged } from './contents.ts';
import type { FileToFetch } from './select.ts';
import { type Implicated, Starts } from './starts.ts';
import type { AttributedDetection, Verdict } from './verdict.ts';

/** Who says so: the scan itself, joining what plugins said. */
const DETECTOR = 'starts';

export class Starters {
  private readonly starts: Starts;
  private readonly items = new Map<string, FileToFetch>();
  private readonly said = new Map<string, AttributedDetection[]>();
  private readonly due = new Set<string>();

  /** Keeps what has room in so many characters (`Starts`). */
  constructor(mostCharacters?: number) {
    this.starts = new Starts(mostCharacters);
  }

  /** How many files are kept. */
  get size(): number {
    return this.items.size;
  }

  /** What could not be kept: what it would have led to is not known. */
  get cut(): number {
    return this.starts.cut;
  }

  /** Takes note of what a file starts, and of one that is malicious. */
  note({ item, verdict, starts }: Judged<FileToFetch>): void {
    const { path } = item.facts;
    if (starts.length > 0) {
      const cutBefore = this.starts.cut;
      const found = this.starts.starting(path, starts);
      // A guest makes such files by the million: those of which nothing was kept are not kept either.
      const isForgotten = found.length === 0 && this.starts.cut - cutBefore === starts.length;
      if (!isForgotten) this.items.set(path, aloneOf(item));
      this.implicate(found);
    }
    this.found(path, verdict);
  }

  /** Takes note of what has this path or, where it is gone, had it. */
  found(path: string, verdict: Verdict): void {
    const culprit = 'detections' in verdict && verdict.detections.find(isMalicious);
    if (culprit) this.implicate(this.starts.malicious(path, culprit.name));
  }

  /** The files that were implicated since the last call. */
  take(): FileToFetch[] {
    const taken = Array.from(this.due, (path) => this.items.get(path) ?? []).flat();
    this.due.clear();
    return taken;
  }

  /** What is to be said of a file besides its own content. */
  detections(path: string): readonly AttributedDetection[] {
    return this.said.get(path) ?? [];
  }

  private implicate(found: readonly Implicated[]): void {
    for (const { path, detection } of found) {
      const before = this.detections(path);
      // Once for each judgement: a file that is looked at again says again what it starts.
      if (before.some(({ judgement }) => judgement === detection.judgement)) continue;
      this.said.set(path, [...before, { ...detection, detector: DETECTOR }]);
      this.due.add(path);
    }
  }
}

/** Without what it is a part of: a line of the listing has up to 512 files. */
const aloneOf = ({ request, path, facts, interest }: FileToFetch): FileToFetch => ({
  request,
  path,
  facts,
  interest,
});

const isMalicious = ({ judgement }: AttributedDetection): boolean => judgement === 'malicious';

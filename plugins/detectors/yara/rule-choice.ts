/**
 * Which of the loaded rules a file is scanned with, for an engine that searches for the patterns of all rules that
 * it is given: sets whose guard does not hold of the file's size and first bytes are left out.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { HEAD_BYTES, mayHold, type Outline } from './guard.ts';
import type { RuleFile } from './rule-files.ts';
import { type RuleSet, ruleSets } from './rule-sets.ts';

export interface PlacedFile extends RuleFile {
  /** In the list that was loaded. */
  readonly place: number;
}

export class RuleChoice {
  private readonly sets: readonly RuleSet<PlacedFile>[];
  private readonly known = new Map<string, readonly PlacedFile[]>();

  constructor(files: readonly RuleFile[]) {
    this.sets = ruleSets(
      files.map((file, place) => ({ ...file, place })),
      true,
    );
  }

  /** Equal choices are the same array. All rules for a file that cannot be read: the engine will say why. */
  for(path: string): readonly PlacedFile[] {
    const outline = outlineOf(path);
    const chosen = this.sets.filter(({ guard }) => outline === undefined || mayHold(guard, outline));
    const key = chosen.map((set) => this.sets.indexOf(set)).join();
    const known = this.known.get(key) ?? chosen.flatMap(({ files }) => files);
    this.known.set(key, known);
    return known;
  }
}

function outlineOf(path: string): Outline | undefined {
  try {
    const file = openSync(path, 'r');
    try {
      const facts = fstatSync(file);
      if (!facts.isFile()) return undefined;
      const head = Buffer.alloc(HEAD_BYTES);
      return { size: facts.size, head: head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0)) };
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

import type { Declarations } from './declarations.ts';

/**
 * Splits rule files into sets that can each be compiled as one source with the meaning that every file has
 * alone: no name is declared twice, and a file with a global rule has its set to itself. Each set costs a
 * scan of its own, so the first that fits is taken.
 */
export function ruleSets<File extends Declarations>(files: readonly File[]): readonly (readonly File[])[] {
  const sets: RuleSet<File>[] = [];
  for (const file of files) {
    const set = sets.find((candidate) => candidate.fits(file));
    if (set !== undefined) set.add(file);
    else sets.push(new RuleSet(file));
  }
  return sets.map(({ files }) => files);
}

class RuleSet<File extends Declarations> {
  readonly files: File[] = [];
  private readonly rules = new Set<string>();
  private readonly modules = new Set<string>();
  private readonly closed: boolean;

  constructor(first: File) {
    this.closed = first.global;
    this.add(first);
  }

  fits(file: File): boolean {
    return (
      !this.closed &&
      !file.global &&
      file.rules.every((rule) => !this.rules.has(rule) && !this.modules.has(rule)) &&
      file.modules.every((module) => !this.rules.has(module))
    );
  }

  add(file: File): void {
    this.files.push(file);
    for (const rule of file.rules) this.rules.add(rule);
    for (const module of file.modules) this.modules.add(module);
  }
}

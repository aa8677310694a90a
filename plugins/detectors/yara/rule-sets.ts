import type { Declarations } from './declarations.ts';

/** A search for the patterns of a few rules costs about as much as for none besides, so only many get a set. */
const OWN_SET_RULES = 32;

/**
 * Splits rule files into sets that can each be compiled as one source with the meaning that every file has
 * alone: no name is declared twice, and a file with a global rule has its set to itself. Files whose common
 * guard many rules share are kept together, since a set whose guards fail costs nothing; each other set costs
 * a search of the whole content, so the first that fits is taken.
 */
export function ruleSets<File extends Declarations>(files: readonly File[]): readonly (readonly File[])[] {
  const large = largeGuards(files);
  const groups = Map.groupBy(files, ({ guard }) => (large.has(guard) ? guard : undefined));
  return [...groups.values()].flatMap(withoutClashes);
}

function largeGuards(files: readonly Declarations[]): ReadonlySet<string | undefined> {
  const rules = new Map<string | undefined, number>();
  for (const file of files) rules.set(file.guard, (rules.get(file.guard) ?? 0) + file.rules.length);
  return new Set([...rules].filter(([, count]) => count >= OWN_SET_RULES).map(([guard]) => guard));
}

function withoutClashes<File extends Declarations>(files: readonly File[]): readonly (readonly File[])[] {
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

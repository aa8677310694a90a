import type { Declarations } from './declarations.ts';
import type { External } from './externals.ts';
import { ALWAYS, anyOf, type Guard, headGuard } from './guard.ts';

/** A search for the patterns of a few rules costs about as much as for none besides, so only many get a set. */
const OWN_SET_RULES = 32;

/** Files that are compiled together. */
export interface RuleSet<File extends Declarations> {
  readonly files: readonly File[];
  /** Holds of every content in which a rule of the set could match. */
  readonly guard: Guard;
  /** Those that its rules use. */
  readonly externals: readonly External[];
}

/**
 * Splits rule files into sets that can each be compiled as one with the meaning that every file has alone.
 * Without namespaces no name may then be declared twice, and a file with a global rule has its set to itself.
 *
 * Files that many rules share a guard with are kept together, since a set whose guard does not hold costs
 * nothing, and files that use external variables, which cost something at each scan. Each other set costs a
 * search of the whole content, so the first that fits is taken.
 */
export function ruleSets<File extends Declarations>(
  files: readonly File[],
  namespaces: boolean,
): readonly RuleSet<File>[] {
  const large = largeGuards(files);
  const groups = Map.groupBy(files, ({ guard, externals }) => {
    const key = keyOf(guard);
    return `${externals.length > 0} ${large.has(key) ? key : ''}`;
  });
  return [...groups.values()].flatMap((group) => withoutClashes(group, namespaces));
}

const keyOf = (guard: Guard): string => JSON.stringify(headGuard(guard));

function largeGuards(files: readonly Declarations[]): ReadonlySet<string> {
  const rules = new Map<string, number>();
  for (const { guard, rules: own } of files) {
    const key = keyOf(guard);
    rules.set(key, (rules.get(key) ?? 0) + own.length);
  }
  rules.delete(keyOf(ALWAYS));
  return new Set([...rules].filter(([, count]) => count >= OWN_SET_RULES).map(([key]) => key));
}

function withoutClashes<File extends Declarations>(
  files: readonly File[],
  namespaces: boolean,
): RuleSet<File>[] {
  const sets: Gathering<File>[] = [];
  for (const file of files) {
    const set = sets.find((candidate) => candidate.fits(file, namespaces));
    if (set !== undefined) set.add(file);
    else sets.push(new Gathering(file));
  }
  return sets.map((set) => set.finished());
}

class Gathering<File extends Declarations> {
  private readonly files: File[] = [];
  private readonly rules = new Set<string>();
  private readonly modules = new Set<string>();
  private readonly externals = new Set<External>();
  private readonly closed: boolean;

  constructor(first: File) {
    this.closed = first.global;
    this.add(first);
  }

  fits(file: File, namespaces: boolean): boolean {
    // External variables are defined for all namespaces of a set.
    const names: ReadonlySet<string> = new Set([...file.rules, ...file.modules]);
    if ([...this.externals].some((external) => names.has(external))) return false;
    if (file.externals.some((external) => this.rules.has(external) || this.modules.has(external)))
      return false;
    if (namespaces) return true;
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
    for (const external of file.externals) this.externals.add(external);
  }

  finished(): RuleSet<File> {
    return {
      files: this.files,
      guard: anyOf(this.files.map(({ guard }) => guard)),
      externals: [...this.externals],
    };
  }
}

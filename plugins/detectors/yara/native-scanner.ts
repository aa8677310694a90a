import { compile, validate, type YaraX } from '@litko/yara-x';
import type { RuleFile } from './rule-files.ts';
import { ruleSets } from './rule-sets.ts';
import { type Fault, faultOf, type Match, type Scanner } from './scanner.ts';

const COMPILER = { enableIncludes: false };

interface LoadedSet {
  readonly compiled: YaraX;
  /** The file of each rule, by its place in the loaded list. */
  readonly fileOf: ReadonlyMap<string, number>;
}

/** Knows no namespaces: files whose names clash are compiled apart. */
export class NativeScanner implements Scanner {
  private sets: readonly LoadedSet[] = [];

  check(text: string): Fault | undefined {
    const [error] = validate(text, COMPILER).errors;
    return error === undefined ? undefined : faultOf(error.message);
  }

  load(files: readonly RuleFile[], maxMatches: number): void {
    const placed = files.map((file, place) => ({ ...file, place }));
    this.sets = ruleSets(placed).map((set) => {
      const compiled = compile(set.map(({ text }) => text).join('\n'), COMPILER);
      compiled.setMaxMatchesPerPattern(maxMatches);
      // A file that is cut short while it is mapped would kill the process; reading is as fast.
      compiled.setUseMmap(false);
      return {
        compiled,
        fileOf: new Map(set.flatMap(({ rules, place }) => rules.map((rule) => [rule, place]))),
      };
    });
  }

  scan(path: string): Match[] {
    return this.sets.flatMap(({ compiled, fileOf }) =>
      compiled.scanFile(path).map(({ ruleIdentifier, meta }) => ({
        rule: ruleIdentifier,
        file: placeOf(ruleIdentifier, fileOf),
        meta: meta as Match['meta'],
      })),
    );
  }
}

function placeOf(rule: string, fileOf: ReadonlyMap<string, number>): number {
  const place = fileOf.get(rule);
  if (place === undefined) throw new Error(`the rule ${rule} matched, and no loaded file declares it`);
  return place;
}

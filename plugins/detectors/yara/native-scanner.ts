import { compile, validate, type YaraX } from '@litko/yara-x';
import { FileReader } from './file-reader.ts';
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
  private readonly reader = new FileReader();

  check(text: string): Fault | undefined {
    const [error] = validate(text, COMPILER).errors;
    return error === undefined ? undefined : faultOf(error.message);
  }

  load(files: readonly RuleFile[], maxMatches: number): void {
    const placed = files.map((file, place) => ({ ...file, place }));
    this.sets = ruleSets(placed).map((set) => {
      const compiled = compile(set.map(({ text }) => text).join('\n'), COMPILER);
      compiled.setMaxMatchesPerPattern(maxMatches);
      return {
        compiled,
        fileOf: new Map(set.flatMap(({ rules, place }) => rules.map((rule) => [rule, place]))),
      };
    });
  }

  /** Reads the file once for all sets, and does not map it: one that is cut short meanwhile would kill the process. */
  scan(path: string): Match[] {
    const content = this.reader.read(path);
    return this.sets.flatMap(({ compiled, fileOf }) =>
      compiled.scan(content).map(({ ruleIdentifier, meta }) => ({
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

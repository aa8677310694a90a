import { compile, validate, type YaraX } from '@litko/yara-x';
import { declaredRules } from './declarations.ts';
import { type External, type NamingFacts, type Values, valuesOf } from './externals.ts';
import { FileReader } from './file-reader.ts';
import { type Guard, HEAD_BYTES, mayHold } from './guard.ts';
import type { RuleFile } from './rule-files.ts';
import { type RuleSet, ruleSets } from './rule-sets.ts';
import { type Fault, faultOf, type Match, type RuleSource, type Scanner } from './scanner.ts';

interface LoadedSet {
  readonly compiled: YaraX;
  readonly guard: Guard;
  readonly externals: readonly External[];
  readonly source: string;
  /** The file of each rule, by its place in the loaded list. */
  readonly fileOf: ReadonlyMap<string, number>;
}

/** The binding hands a text that reads as one of these over as an integer or a truth value, which no rule expects. */
const TAKEN_FOR_ANOTHER_TYPE = /^(?:[+-]?\d+|true|false)$/;
const NO_FACTS: NamingFacts = { path: '', uid: 0 };

/** Knows no namespaces: files whose names clash are compiled apart. */
export class NativeScanner implements Scanner {
  private sets: readonly LoadedSet[] = [];
  private maxMatches = 0;
  private readonly reader = new FileReader();

  check({ text, externals }: RuleSource): Fault | undefined {
    const [error] = validate(text, compilerWith(externals)).errors;
    return error === undefined ? undefined : faultOf(error.message);
  }

  load(files: readonly RuleFile[], maxMatches: number): void {
    this.maxMatches = maxMatches;
    const placed = files.map((file, place) => ({ ...file, place }));
    this.sets = ruleSets(placed, false).map((set) => this.loadSet(set));
  }

  /** Reads the file once for all sets, and does not map it: one that is cut short meanwhile would kill the process. */
  scan(path: string, facts: NamingFacts = NO_FACTS): Match[] {
    const content = this.reader.read(path);
    const outline = { size: content.length, head: content.subarray(0, HEAD_BYTES) };
    return this.sets
      .filter(({ guard }) => mayHold(guard, outline))
      .flatMap((set) =>
        this.matches(set, content, valuesOf(set.externals, facts, outline.head)).map((match) => ({
          rule: match.ruleIdentifier,
          file: placeOf(match.ruleIdentifier, set.fileOf),
        })),
      );
  }

  private loadSet({ files, guard, externals }: RuleSet<RuleFile & { readonly place: number }>): LoadedSet {
    const source = files.map(({ text }) => text).join('\n');
    return {
      compiled: this.compile(source, externals),
      guard,
      externals,
      source,
      fileOf: new Map(files.flatMap(({ rules, place }) => rules.map((rule) => [rule, place]))),
    };
  }

  private compile(source: string, externals: readonly External[]): YaraX {
    const compiled = compile(source, compilerWith(externals));
    compiled.setMaxMatchesPerPattern(this.maxMatches);
    return compiled;
  }

  private matches(
    { compiled, externals, source }: LoadedSet,
    content: Buffer,
    values: Values,
  ): ReturnType<YaraX['scan']> {
    if (externals.length === 0) return compiled.scan(content);
    const { spelt = [], given = [] } = Object.groupBy(Object.entries(values), ([, value]) =>
      TAKEN_FOR_ANOTHER_TYPE.test(value) ? 'spelt' : 'given',
    );
    // A file that is called `2024`: its rules are compiled anew with the name spelt out in them.
    const rules = spelt.length > 0 ? this.compile(spellOut(source, new Map(spelt)), externals) : compiled;
    return rules.scan(content, Object.fromEntries(given));
  }
}

function compilerWith(externals: readonly External[]): object {
  const defineVariables = Object.fromEntries(externals.map((external) => [external, '']));
  return { enableIncludes: false, ...(externals.length > 0 ? { defineVariables } : {}) };
}

/** The source with external variables replaced by texts, which need no escaping, wherever conditions speak of them. */
function spellOut(source: string, texts: ReadonlyMap<string, string>): string {
  let spelt = '';
  let done = 0;
  for (const { bare, condition } of declaredRules(source)) {
    for (const { 0: name, index } of bare.matchAll(/(?<![\w$#@!.])[A-Za-z_]\w*/g)) {
      const text = texts.get(name);
      if (text === undefined) continue;
      const at = condition[0] + index;
      spelt += `${source.slice(done, at)}"${text}"`;
      done = at + name.length;
    }
  }
  return spelt + source.slice(done);
}

function placeOf(rule: string, fileOf: ReadonlyMap<string, number>): number {
  const place = fileOf.get(rule);
  if (place === undefined) throw new Error(`the rule ${rule} matched, and no loaded file declares it`);
  return place;
}

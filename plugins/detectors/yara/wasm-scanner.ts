import { readFileSync } from 'node:fs';
import { Compiler, initSync, type Scanner as YaraScanner } from '@virustotal/yara-x';
import { type External, type NamingFacts, valuesOf } from './externals.ts';
import { type Guard, HEAD_BYTES, mayHold } from './guard.ts';
import type { RuleFile } from './rule-files.ts';
import { type RuleSet, ruleSets } from './rule-sets.ts';
import { type Fault, faultOf, type Match, type RuleSource, type Scanner } from './scanner.ts';

/** The part of a scan's result that is read here. */
interface ScanResult {
  readonly matches: readonly {
    readonly identifier: string;
    readonly namespace: string;
    readonly isPrivate: boolean;
  }[];
}

interface LoadedSet {
  readonly scanner: YaraScanner;
  readonly guard: Guard;
  readonly externals: readonly External[];
}

const MODULE = new URL('./yara_x_js_bg.wasm', import.meta.resolve('@virustotal/yara-x'));
const NO_FACTS: NamingFacts = { path: '', uid: 0 };

/**
 * Each file has a namespace of its own, named by its place in the loaded list. A scan costs more the more rules
 * a set has, whether they match or not, so sets whose guard does not hold are left out.
 */
export class WasmScanner implements Scanner {
  private sets: readonly LoadedSet[] = [];

  constructor() {
    initSync({ module: readFileSync(MODULE) });
  }

  check({ text, externals }: RuleSource): Fault | undefined {
    using compiler = compilerWith(externals);
    try {
      compiler.addSource(text);
      return undefined;
    } catch (error) {
      return faultOf(compiler.errors[0] ?? String(error));
    }
  }

  load(files: readonly RuleFile[], maxMatches: number): void {
    const placed = files.map((file, place) => ({ ...file, place }));
    this.sets = ruleSets(placed, true).map((set) => loadSet(set, maxMatches));
  }

  scan(path: string, facts: NamingFacts = NO_FACTS): Match[] {
    const content = readFileSync(path);
    const outline = { size: content.length, head: content.subarray(0, HEAD_BYTES) };
    return this.sets
      .filter(({ guard }) => mayHold(guard, outline))
      .flatMap(({ scanner, externals }) => {
        const values = valuesOf(externals, facts, outline.head);
        for (const [external, value] of Object.entries(values)) scanner.setGlobal(external, value);
        return matchesOf(scanner.scan(content) as ScanResult);
      });
  }
}

function loadSet(
  { files, guard, externals }: RuleSet<RuleFile & { readonly place: number }>,
  maxMatches: number,
): LoadedSet {
  using compiler = compilerWith(externals);
  for (const { place, text } of files) {
    compiler.newNamespace(String(place));
    compiler.addSource(text);
  }
  const scanner = compiler.build().scanner();
  scanner.setMaxMatchesPerPattern(maxMatches);
  return { scanner, guard, externals };
}

function compilerWith(externals: readonly External[]): Compiler {
  const compiler = new Compiler();
  for (const external of externals) compiler.defineGlobal(external, '');
  return compiler;
}

function matchesOf({ matches }: ScanResult): Match[] {
  return matches
    .filter(({ isPrivate }) => !isPrivate)
    .map(({ identifier, namespace }) => ({
      rule: identifier,
      file: Number(namespace),
    }));
}

import { readFileSync } from 'node:fs';
import { Compiler, initSync, type Scanner as YaraScanner } from '@virustotal/yara-x';
import type { RuleFile } from './rule-files.ts';
import { type Fault, faultOf, type Match, type Scanner } from './scanner.ts';

/** The part of a scan's result that is read here. */
interface ScanResult {
  readonly matches: readonly {
    readonly identifier: string;
    readonly namespace: string;
    readonly isPrivate: boolean;
    readonly metadata: readonly { readonly identifier: string; readonly value: unknown }[];
  }[];
}

const MODULE = new URL('./yara_x_js_bg.wasm', import.meta.resolve('@virustotal/yara-x'));

/** Each file has a namespace of its own, named by its place in the loaded list. */
export class WasmScanner implements Scanner {
  private scanner: YaraScanner | undefined;

  constructor() {
    initSync({ module: readFileSync(MODULE) });
  }

  check(text: string): Fault | undefined {
    using compiler = new Compiler();
    try {
      compiler.addSource(text);
      return undefined;
    } catch (error) {
      return faultOf(compiler.errors[0] ?? String(error));
    }
  }

  load(files: readonly RuleFile[], maxMatches: number): void {
    using compiler = new Compiler();
    for (const [place, { text }] of files.entries()) {
      compiler.newNamespace(String(place));
      compiler.addSource(text);
    }
    this.scanner = compiler.build().scanner();
    this.scanner.setMaxMatchesPerPattern(maxMatches);
  }

  scan(path: string): Match[] {
    if (this.scanner === undefined) throw new Error('a scan before rules were loaded');
    const { matches } = this.scanner.scan(readFileSync(path)) as ScanResult;
    return matches
      .filter(({ isPrivate }) => !isPrivate)
      .map(({ identifier, namespace, metadata }) => ({
        rule: identifier,
        file: Number(namespace),
        meta: Object.fromEntries(metadata.map(({ identifier, value }) => [identifier, value])),
      }));
  }
}

/**
 * Names what the answer for a content depends on: those of the rules that could match it, by their guards. So
 * a rule for Windows programs can come or go, and the answers for all other contents stay what they were.
 *
 * Asked for every file of every guest. What the guards test is therefore looked up all at once, and what
 * follows is remembered: contents that pass the same tests have the same rules before them.
 */
import { createHash, hash } from 'node:crypto';
import type { ContentSummary, FileFacts } from 'lazaret/plugin';
import { type DeclaredRule, declaredRules, externalsOf } from './declarations.ts';
import { type External, NAMING, valuesOf } from './externals.ts';
import {
  anyOf,
  type Guard,
  guardOf,
  type HeadTest,
  mayHold,
  numberAt,
  type Outline,
  testsOf,
} from './guard.ts';
import type { RuleFile } from './rule-files.ts';

/** The least that comes or goes as a whole, or all that have a guard in common. */
interface Unit {
  readonly guard: Guard;
  readonly externals: readonly External[];
  readonly digest: Buffer;
}

/** Rules before all contents that pass the same tests. */
interface Before {
  readonly digest: string;
  /** External variables of which two files with this content may have different values. */
  readonly naming: readonly External[];
}

/** Bytes of the head that guards look at together, and the numbers that they look for. */
interface Reading extends Pick<HeadTest, 'at' | 'bytes' | 'bigEndian'> {
  readonly wanted: ReadonlySet<number>;
}

/** Against contents that are made to pass ever other tests. */
const MAX_REMEMBERED = 10_000;
/** `any of (suspicious_*)`: how many rules there are by that name matters, whether they match or not. */
const RULES_BY_PREFIX = /(?<![\w$#@!])[A-Za-z_]\w*\*\s*[,)]/;

export class AnswerKeys {
  private readonly engine: string;
  private readonly units: readonly Unit[];
  private readonly readings: readonly Reading[];
  /** Sizes at which a test begins or ceases to hold, ascending. */
  private readonly sizes: readonly number[];
  private readonly remembered = new Map<string, Before>();

  /** `engine`: what else all answers depend on. */
  constructor(engine: string, files: readonly RuleFile[]) {
    this.engine = engine;
    this.units = byGuard(files.flatMap(unitsOf));
    const tests = this.units.flatMap(({ guard }) => [...testsOf(guard)]);
    this.readings = readingsOf(tests.filter((test) => 'at' in test));
    const bounds = tests.flatMap((test) => ('at' in test ? [] : [test.from, test.to + 1]));
    this.sizes = [...new Set(bounds)].sort((a, b) => a - b);
  }

  keyFor(facts: FileFacts, content: ContentSummary): string {
    const { digest, naming } = this.before(content);
    if (naming.length === 0) return digest;
    const values = JSON.stringify(valuesOf(naming, facts, content.head));
    return `${digest}/${hash('sha256', values, 'base64url')}`;
  }

  private before(content: Outline): Before {
    const passed = this.passed(content);
    const known = this.remembered.get(passed);
    if (known !== undefined) return known;
    const before = this.judge(content);
    if (this.remembered.size >= MAX_REMEMBERED) this.remembered.clear();
    this.remembered.set(passed, before);
    return before;
  }

  /** Which tests the content passes, as a word. */
  private passed({ size, head }: Outline): string {
    let passed = '';
    for (let index = 0; index < this.readings.length; index++) {
      const reading = this.readings[index] as Reading;
      const number = numberAt(head, reading);
      if (reading.wanted.has(number)) passed += `${index}=${number} `;
    }
    let low = 0;
    for (let high = this.sizes.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.sizes[middle] as number) <= size) low = middle + 1;
      else high = middle;
    }
    return passed + low;
  }

  private judge(content: Outline): Before {
    const units = this.units.filter(({ guard }) => mayHold(guard, content));
    const digest = createHash('sha256').update(`${this.engine}\0`);
    digest.update(Buffer.concat(units.map((unit) => unit.digest)));
    const used = new Set(units.flatMap(({ externals }) => externals));
    return { digest: digest.digest('base64url'), naming: NAMING.filter((external) => used.has(external)) };
  }
}

/** The rules of a file, or the file as a whole where its rules depend on each other beyond what their own text says. */
function unitsOf({ name, text, global, externals, guard }: RuleFile): Unit[] {
  const rules = declaredRules(text);
  if (global || rules.some(({ bare }) => RULES_BY_PREFIX.test(bare))) {
    return [{ guard, externals, digest: digestOf(name, text) }];
  }
  return rules.map((rule) => ({
    guard: guardOf(rule.bare),
    externals: externalsOfRule(rule, externals),
    digest: digestOf(name, rule.text),
  }));
}

/** Many rules have the same guard: one question then answers for all of them. In an order that others do not change. */
function byGuard(units: readonly Unit[]): Unit[] {
  const groups = [...Map.groupBy(units, ({ guard }) => JSON.stringify(guard))];
  return groups
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, members]) => {
      const [first] = members;
      if (first === undefined) return [];
      const digest = hash('sha256', Buffer.concat(members.map((member) => member.digest)), 'buffer');
      return [{ guard: first.guard, externals: members.flatMap(({ externals }) => externals), digest }];
    });
}

const externalsOfRule = ({ bare }: DeclaredRule, ofFile: readonly External[]): readonly External[] =>
  externalsOf(bare).filter((external) => ofFile.includes(external));

const digestOf = (name: string, text: string): Buffer => hash('sha256', `${name}\0${text}`, 'buffer');

function readingsOf(tests: readonly HeadTest[]): Reading[] {
  const groups = Map.groupBy(tests, ({ at, bytes, bigEndian }) => `${at} ${bytes} ${bigEndian}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first ? [{ ...first, wanted: new Set(group.map(({ equals }) => equals)) }] : [];
  });
}

/** What a content must be like for any rule to match. */
export const commonGuard = (files: readonly RuleFile[]): Guard => anyOf(files.map(({ guard }) => guard));

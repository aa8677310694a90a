/** From commands to the files that they start. */
import {
  baseName,
  COMPANIONS,
  DAEMON_OPTIONS,
  INTERPRETERS,
  LOADS_MODULE,
  RUNS_TEXT,
  SHELLS,
  SOURCES,
  WRAPPERS,
} from './programs.ts';
import { type Command, parseShell, type Variables } from './shell.ts';

export interface Started {
  /** Absolute, as written. */
  readonly paths: readonly string[];
  /** Libraries that are loaded into what is started. */
  readonly loaded: readonly string[];
  /** Some program could not be told: it has no absolute path that is known. */
  readonly hasOthers: boolean;
}

const NESTING = 3;
/** PATH_MAX. */
const LONGEST_PATH = 4096;
const MOST_WRAPPERS = 8;
const SYSTEM_TOOL = /^\/(?:usr\/)?s?bin\/[^/]+$/;
const LOADER = /^(LD_PRELOAD|LD_AUDIT)\+?=/;

/** `home` stands for `~`. */
export function startedBy(commands: readonly Command[], home?: string): Started {
  const paths = new Set<string>();
  const loaded = new Set<string>();
  let hasOthers = false;
  for (const { words, assigned } of commands) {
    const program = programIn(words, home);
    if (program !== undefined && isKnownPath(program)) paths.add(program);
    else if (program !== undefined) hasOthers = true;
    for (const value of loadedBy(words, assigned)) if (isKnownPath(value)) loaded.add(value);
  }
  return { paths: [...paths], loaded: [...loaded], hasOthers };
}

/** Lists of commands: the given one, then those within substitutions and in text such as that of `sh -c '…'`. */
export function listsOf(commands: readonly Command[], home?: string, depth = NESTING): Command[][] {
  const lists = [[...commands]];
  if (depth === 0) return lists;
  for (const command of commands) {
    const texts = textsOf(command).map((text) => parseShell(text, withHome(home)));
    for (const inner of [command.within, ...texts]) {
      if (inner.length > 0) for (const list of listsOf(inner, home, depth - 1)) lists.push(list);
    }
  }
  return lists;
}

export const withHome = (home?: string): Variables => new Map(home === undefined ? [] : [['HOME', home]]);
export const isShell = (command: Command): boolean => SHELLS.has(baseName(unwrapped(command.words)[0]));

/** The words of the command that wrappers such as `nohup` and `sudo` run. */
export function unwrapped(given: readonly string[]): readonly string[] {
  let words = given;
  for (let count = 0; count < MOST_WRAPPERS; count++) {
    const wrapper = WRAPPERS.get(baseName(words[0]));
    if (wrapper === undefined || textOf(words) !== undefined) return words;
    let at = 1;
    for (; words[at]?.startsWith('-') || words[at]?.includes('='); at++) {
      const [dash, letter, more] = words[at] ?? '';
      if (dash === '-' && letter !== undefined && more === undefined && wrapper.takes.includes(letter)) at++;
    }
    words = words.slice(at + wrapper.skips);
  }
  return words;
}

/** What one command starts: a path, another name, or undefined when it is of no interest. */
function programIn(given: readonly string[], home?: string): string | undefined {
  const words = unwrapped(given);
  const program = atHome(words[0] ?? '', home);
  const name = baseName(program);
  if (program === '' || textOf(words) !== undefined) return undefined;
  if (name === 'start-stop-daemon') {
    const option = words.findIndex((word) => DAEMON_OPTIONS.has(word));
    return words[option + 1] ?? program;
  }
  const argument = words[firstOperand(words)];
  if (LOADS_MODULE.has(name)) return argument;
  if (COMPANIONS.has(name) && (program === name || SYSTEM_TOOL.test(program))) return undefined;
  const isRun = SHELLS.has(name) || INTERPRETERS.test(name) || SOURCES.has(name);
  return isRun && argument !== undefined ? atHome(argument, home) : program;
}

/** Texts among its words that a shell runs. */
function textsOf({ words: given, assigned }: Command): string[] {
  const words = unwrapped(given);
  const name = baseName(words[0]);
  const texts = [textOf(words), assigned.get('PROMPT_COMMAND')];
  if (name === 'eval') texts.push(words.slice(1).join(' '));
  if (name === 'trap') texts.push(words[1]);
  if (name === 'alias') {
    const values = words.slice(1).map((word) => word.slice(word.indexOf('=') + 1));
    texts.push(values.join('\n'));
  }
  return texts.filter((text) => text !== undefined);
}

/** The text after `-c` of a program that has a shell run it. A shell's own comes before the name of a script. */
function textOf(words: readonly string[]): string | undefined {
  const name = baseName(words[0]);
  if (!RUNS_TEXT.has(name)) return undefined;
  const end = SHELLS.has(name) ? firstOperand(words) : words.length;
  const at = words.findIndex((word, index) => index > 0 && index < end && /^-[a-z]{0,8}c$/.test(word));
  return at === -1 ? undefined : words[at + 1];
}

/** The index of the first word that is no option; `-o` of shells takes the next word. */
function firstOperand(words: readonly string[]): number {
  let at = 1;
  for (; /^[-+]/.test(words[at] ?? ''); at++) if (/^[-+][oO]$/.test(words[at] ?? '')) at++;
  return at;
}

function loadedBy(words: readonly string[], assigned: ReadonlyMap<string, string>): string[] {
  const values = ['LD_PRELOAD', 'LD_AUDIT'].flatMap((name) => assigned.get(name) ?? []);
  for (const word of words) if (LOADER.test(word)) values.push(word.slice(word.indexOf('=') + 1));
  return values.flatMap(librariesIn);
}

/** ld.so(8): the names in LD_PRELOAD are separated by blanks or colons. */
export const librariesIn = (value: string): string[] => value.split(/[ \t:]+/).filter((name) => name !== '');

const isKnownPath = (path: string): boolean =>
  path.startsWith('/') && path.length <= LONGEST_PATH && !/[$*?]/.test(path);

const atHome = (word: string, home?: string): string =>
  home !== undefined && word.startsWith('~/') ? home + word.slice(1) : word;

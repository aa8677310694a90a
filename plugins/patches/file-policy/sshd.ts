/**
 * sshd_config(5): a keyword and its arguments a line, with blanks or one `=` between; keywords in any case; `#`
 * begins a comment. The first value of a keyword wins. `Match` begins a block that goes to the next `Match` or
 * the end of the file, and overrides for the connections that it names. `Include` reads other files in its place.
 *
 * So a setting holds when its first line outside blocks has the value and no Include stands before it, whose
 * files could have set it already. Blocks are exceptions that somebody made, and left alone; but for `Match all`,
 * which is no exception.
 */
import {
  append,
  type Malformed,
  rewrite,
  type SettingLine,
  type Settings,
  type SettingsFile,
  type SettingsFormat,
  startOfText,
} from './settings.ts';

/** Old names that sshd still takes. */
const ALIASES: Readonly<Record<string, string>> = {
  challengeresponseauthentication: 'kbdinteractiveauthentication',
  skeyauthentication: 'kbdinteractiveauthentication',
  dsaauthentication: 'pubkeyauthentication',
  keepalive: 'tcpkeepalive',
  pubkeyacceptedkeytypes: 'pubkeyacceptedalgorithms',
  hostbasedacceptedkeytypes: 'hostbasedacceptedalgorithms',
};

/** Keywords whose lines add up, and those that are no settings: one value cannot be set for them. */
const NOT_SINGLE = new Set([
  ...['acceptenv', 'allowgroups', 'allowusers', 'denygroups', 'denyusers', 'hostcertificate', 'hostkey'],
  ...['include', 'listenaddress', 'match', 'port', 'setenv', 'subsystem'],
]);

const KEYWORD = /^[A-Za-z][A-Za-z0-9]*/;

export const sshd: SettingsFormat = {
  expectation(name, value) {
    if (KEYWORD.exec(name)?.[0] !== name) return 'a keyword of sshd_config, such as PermitRootLogin';
    if (NOT_SINGLE.has(canonical(name))) {
      return `a keyword with one value: lines of ${name} add up or mean something else, so give the whole content`;
    }
    const { args, end } = argumentsOf(value) ?? { args: [], end: 0 };
    return args.length > 0 && end === value.length
      ? undefined
      : 'arguments as in sshd_config, with no comment';
  },
  canonical,
  parse,
};

function canonical(name: string): string {
  const keyword = name.toLowerCase();
  return Object.hasOwn(ALIASES, keyword) ? (ALIASES[keyword] ?? keyword) : keyword;
}

/** `exception` lines stand in a Match block that does not match all. */
interface Line extends SettingLine {
  readonly scope: 'global' | 'match-all' | 'exception';
}

function parse(text: string): SettingsFile | Malformed {
  const lines = text.split('\n');
  const settings: Line[] = [];
  let scope: Line['scope'] = 'global';
  for (const [at, raw] of lines.entries()) {
    if (isBlankOrComment(raw)) continue;
    const setting = parseLine(raw);
    if (typeof setting === 'string') return { line: at + 1, fault: setting };
    if (setting.name === 'match') scope = isAll(setting.value) ? 'match-all' : 'exception';
    settings.push({ ...setting, at, scope });
  }
  return new SshdConfig(lines, settings);
}

const isBlankOrComment = (raw: string): boolean => {
  const first = raw.charAt(startOfText(raw));
  return first === '' || first === '#';
};

const isAll = (criteria: string): boolean => criteria.toLowerCase() === 'all';

/** The parts of a line, or what is wrong with it. */
function parseLine(raw: string): Omit<SettingLine, 'at'> | string {
  const start = startOfText(raw);
  const keyword = KEYWORD.exec(raw.slice(start))?.[0];
  if (keyword === undefined) return 'expected a keyword';
  const afterKeyword = start + keyword.length;
  let from = startOfText(raw, afterKeyword);
  if (raw.charAt(from) === '=') from = startOfText(raw, from + 1);
  if (from === afterKeyword && from < raw.length) return 'expected a blank or "=" after the keyword';
  const parsed = argumentsOf(raw.slice(from));
  if (!parsed) return 'a quotation mark is not closed';
  if (parsed.args.length === 0) return 'the keyword has no value';
  const end = from + parsed.end;
  return {
    name: canonical(keyword),
    head: raw.slice(0, from),
    value: raw.slice(from, end),
    tail: raw.slice(end),
  };
}

/**
 * Arguments without their quotation marks, and where the last one ends: a comment may follow. Undefined when a
 * quotation mark is not closed.
 */
function argumentsOf(text: string): { readonly args: readonly string[]; readonly end: number } | undefined {
  const args: string[] = [];
  let end = 0;
  for (let at = startOfText(text); at < text.length && text.charAt(at) !== '#'; at = startOfText(text, end)) {
    const argument = argumentAt(text, at);
    if (!argument) return undefined;
    args.push(argument.text);
    end = argument.end;
  }
  return { args, end };
}

function argumentAt(text: string, from: number): { readonly text: string; readonly end: number } | undefined {
  let argument = '';
  let quote = '';
  for (let at = from; at < text.length; at++) {
    const character = text.charAt(at);
    const next = text.charAt(at + 1);
    if (character === '\\' && next !== '' && `"'\\`.includes(next)) {
      argument += next;
      at++;
    } else if (quote !== '') {
      if (character === quote) quote = '';
      else argument += character;
    } else if (character === '"' || character === "'") quote = character;
    else if (startOfText(character) === 1) return { text: argument, end: at };
    else argument += character;
  }
  return quote === '' ? { text: argument, end: text.length } : undefined;
}

const isSame = (a: string, b: string): boolean =>
  JSON.stringify(argumentsOf(a)?.args) === JSON.stringify(argumentsOf(b)?.args);

class SshdConfig implements SettingsFile {
  private readonly lines: readonly string[];
  private readonly settings: readonly Line[];
  /** Up to here nothing but this file has a say. */
  private readonly firstInclude: number;

  constructor(lines: readonly string[], settings: readonly Line[]) {
    this.lines = lines;
    this.settings = settings;
    this.firstInclude =
      settings.find(({ name, scope }) => name === 'include' && scope === 'global')?.at ?? lines.length;
  }

  holds(name: string, value: string): boolean {
    const lines = this.linesOf(name);
    const first = lines.find(({ scope }) => scope === 'global');
    if (!first || first.at > this.firstInclude || !isSame(first.value, value)) return false;
    return lines.every((line) => line.scope === 'global' || isSame(line.value, value));
  }

  with(settings: Settings): string {
    const lines = [...this.lines];
    const added: string[] = [];
    for (const [name, value] of settings) {
      if (this.holds(name, value)) continue;
      const existing = this.linesOf(name);
      rewrite(lines, existing, value);
      const decides = existing.some(({ at, scope }) => scope === 'global' && at < this.firstInclude);
      if (!decides) added.push(`${name} ${value}`);
    }
    const at = this.insertionPoint();
    if (at === lines.length) append(lines, added);
    else lines.splice(at, 0, ...added);
    return lines.join('\n');
  }

  /** The lines that speak for all connections. */
  private linesOf(name: string): Line[] {
    const wanted = canonical(name);
    return this.settings.filter((line) => line.name === wanted && line.scope !== 'exception');
  }

  /** Before the first Include or Match, and before the comment that belongs to it. */
  private insertionPoint(): number {
    const firstMatch = this.settings.find(({ name }) => name === 'match')?.at ?? this.lines.length;
    let at = Math.min(this.firstInclude, firstMatch);
    if (at === this.lines.length) return at;
    while (at > 0 && this.lines[at - 1]?.trimStart().startsWith('#')) at--;
    return at;
  }
}

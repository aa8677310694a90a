/**
 * Enough of the shell's grammar to tell what a line runs (POSIX.1-2024, XCU 2.2 Quoting, 2.3 Token Recognition,
 * 2.6.3 Command Substitution, 2.9 Shell Commands). Simple commands are separated by `; & | ( ) {}` and line
 * ends; a command's first word is its program. Quotes group, a backslash keeps the next character. `$(…)`,
 * backquotes and `<(…)` hold commands of their own. Of expansions only variables are known, those that were
 * assigned a literal before. Linear in the text: nesting is followed to a fixed depth.
 */
export interface Command {
  /** A substitution stands as `$()`, a variable that is not known as `$`. */
  readonly words: readonly string[];
  readonly assigned: ReadonlyMap<string, string>;
  /** Targets of its redirections. */
  readonly targets: readonly string[];
  /** Commands whose output becomes a part of its words or its input. */
  readonly within: readonly Command[];
  /** It reads what the command before it writes. */
  readonly piped: boolean;
}

/** Variables that are known. Values are short, so that text which names them often does not grow without bound. */
export type Variables = Map<string, string>;

const DEEPEST = 4;
const LONGEST_VALUE = 256;
const MOST_VARIABLES = 1000;
const SEPARATORS = new Set([';', '&', '|', '\n', '(', ')']);
const KEYWORDS = new Set('if then else elif fi do done while until ! { } esac time'.split(' '));
const ASSIGNMENT = /^([A-Za-z_]\w*)\+?=/;
const VARIABLE = /\$(?:(\w+)|\{(\w+)[^{}]{0,200}\})/y;

/** The simple commands of a text, without keywords. */
export const parseShell = (text: string, variables: Variables = new Map()): Command[] =>
  new ShellText(text, variables, 0).commands;

class ShellText {
  readonly commands: Command[] = [];
  private readonly text: string;
  private readonly variables: Variables;
  private readonly depth: number;
  private words: string[] = [];
  private assigned = new Map<string, string>();
  private targets: string[] = [];
  private within: Command[] = [];
  private word: string | undefined;
  private piped = false;
  private open = 0;
  /** The next word is the target of a redirection. */
  private redirects = false;

  constructor(text: string, variables: Variables, depth: number) {
    this.text = text;
    this.variables = variables;
    this.depth = depth;
    for (let at = 0; at < text.length; ) at = this.step(at);
    this.endCommand(false);
  }

  /** Takes the piece of a token at `at`; gives the index after it. */
  private step(at: number): number {
    const char = this.text[at] as string;
    const next = this.text[at + 1];
    if (char === "'") return this.singleQuoted(at);
    if (char === '"') return this.doubleQuoted(at);
    if (char === '\\') {
      if (next !== '\n') this.append(next ?? '');
      return at + 2;
    }
    if (char === '#' && this.word === undefined)
      return indexOr(this.text.length, this.text.indexOf('\n', at));
    if (char === '$' || char === '`') return this.expanded(at);
    if (char === '<' || char === '>') return this.redirection(at);
    if (SEPARATORS.has(char)) return this.separator(at);
    if (char === ' ' || char === '\t' || char === '\r') this.endWord();
    else this.append(char);
    return at + 1;
  }

  private singleQuoted(at: number): number {
    const end = indexOr(this.text.length, this.text.indexOf("'", at + 1));
    this.append(this.text.slice(at + 1, end));
    return end + 1;
  }

  private doubleQuoted(at: number): number {
    this.append('');
    for (let end = at + 1; end < this.text.length; ) {
      const char = this.text[end] as string;
      if (char === '"') return end + 1;
      if (char === '$' || char === '`') {
        end = this.expanded(end);
        continue;
      }
      if (char === '\\' && '"\\$`'.includes(this.text[end + 1] ?? ' ')) end++;
      this.append(this.text[end] ?? '');
      end++;
    }
    return this.text.length;
  }

  /** `$(…)`, a backquote or a variable. */
  private expanded(at: number): number {
    if (this.text[at] === '`') {
      return this.substituted(at + 1, indexOr(this.text.length, this.text.indexOf('`', at + 1)));
    }
    if (this.text[at + 1] === '(') return this.substituted(at + 2, closing(this.text, at + 2));
    // `$'…'` and `$"…"` are quotes.
    if (this.text[at + 1] === "'" || this.text[at + 1] === '"') return at + 1;
    VARIABLE.lastIndex = at;
    const [whole = '$', plain, braced] = VARIABLE.exec(this.text) ?? [];
    this.append(this.variables.get(plain ?? braced ?? '') ?? '$');
    return at + whole.length;
  }

  private substituted(start: number, end: number): number {
    this.append('$()');
    if (this.depth < DEEPEST) {
      const inner = new ShellText(this.text.slice(start, end), this.variables, this.depth + 1);
      for (const command of inner.commands) this.within.push(command);
    }
    return end + 1;
  }

  private redirection(at: number): number {
    if (this.text[at + 1] === '(') {
      this.endWord();
      return this.substituted(at + 2, closing(this.text, at + 2));
    }
    if (/^\d{1,3}$/.test(this.word ?? '')) this.word = undefined;
    this.endWord();
    this.redirects = true;
    return at + (this.text[at + 1] === '&' ? 2 : 1);
  }

  private separator(at: number): number {
    const [before, char, after] = [this.text[at - 1], this.text[at], this.text[at + 1]];
    if (char === '&' && after === '>') return at + 1;
    const isOneWord = this.words.length === 0 && this.word !== undefined;
    if (char === '(' && after === ')' && isOneWord) this.word = undefined;
    if (char === ')' && this.open === 0 && isOneWord) this.dropPattern();
    if (char === '(') this.open++;
    else if (char === ')' && this.open > 0) this.open--;
    const isPipe = char === '|' && before !== '|' && after !== '|';
    this.endCommand(isPipe);
    return at + (isPipe && after === '&' ? 2 : 1);
  }

  /** `start|restart)` of a `case`, not the end of a subshell that an earlier line began. */
  private dropPattern(): void {
    const isLong = this.piped;
    for (
      let last = this.commands.at(-1);
      this.piped && last?.words.length === 1;
      last = this.commands.at(-1)
    ) {
      this.commands.pop();
      this.piped = last.piped;
    }
    if (isLong || !this.word?.includes('/')) this.word = undefined;
  }

  private append(text: string): void {
    this.word = (this.word ?? '') + text;
  }

  private endWord(): void {
    const { word } = this;
    this.word = undefined;
    if (word === undefined) return;
    if (this.redirects) {
      this.redirects = false;
      this.targets.push(word);
    } else if (this.words.length > 0) this.words.push(word);
    else if (ASSIGNMENT.test(word)) this.assign(word);
    else if (!KEYWORDS.has(word)) this.words.push(word);
  }

  private assign(word: string): void {
    const at = word.indexOf('=');
    const name = word.slice(0, at).replace(/\+$/, '');
    const value = word.slice(at + 1);
    this.assigned.set(name, value);
    const isKnown =
      value.length <= LONGEST_VALUE && !value.includes('$') && this.variables.size < MOST_VARIABLES;
    if (isKnown) this.variables.set(name, value);
    else this.variables.delete(name);
  }

  private endCommand(isPipe: boolean): void {
    this.endWord();
    this.redirects = false;
    const { words, assigned, targets, within, piped } = this;
    const isEmpty = words.length + assigned.size + within.length === 0;
    if (!isEmpty) this.commands.push({ words, assigned, targets, within, piped });
    // `curl … |` and a `(` or `{` after it: what is within still reads from it.
    this.piped = isPipe || (isEmpty && piped && this.commands.length > 0);
    this.words = [];
    this.assigned = new Map();
    this.targets = [];
    this.within = [];
  }
}

/** The index of the parenthesis that closes, or the text's length. */
function closing(text: string, start: number): number {
  let open = 1;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (char === '\\') at++;
    else if (char === "'") at = indexOr(text.length, text.indexOf("'", at + 1));
    else if (char === '(') open++;
    else if (char === ')' && --open === 0) return at;
  }
  return text.length;
}

const indexOr = (otherwise: number, index: number): number => (index === -1 ? otherwise : index);

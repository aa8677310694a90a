/**
 * systemd units and their drop-ins: sections in brackets, `Key=value`, a backslash at a line's end continues,
 * `#` and `;` begin comments. `Exec…=` holds a command line, not for a shell: words with quotes, a program after
 * any of the prefixes `@ - : + ! |`; a lone `;` begins another command; an empty value undoes those before it.
 * A timer, path or socket starts the unit that `Unit=` or `Service=` names, else the service of its own name.
 * Source: systemd.syntax(7), systemd.service(5) "Command lines", systemd.timer(5), systemd.path(5), systemd.socket(5).
 */
import { type Entry, joinedLines, type Origin, type Parser, trimmed } from '../entry.ts';
import type { Command } from '../shell.ts';
import { librariesIn } from '../started.ts';

const EXEC = /^Exec(?:Start|StartPre|StartPost|Stop|StopPre|StopPost|Reload|ReloadPost|Condition)$/;
const ENVIRONMENT = /^(?:Default|Manager)?Environment$/;
const PRELOAD = /^LD_(?:PRELOAD|AUDIT)=/;
const TRIGGERS = /\.(timer|path|socket)$/;

export const parseUnit: Parser = (text, origin) => {
  const entries: (Entry & { readonly key: string })[] = [];
  const { kind, directory, name } = unitOf(origin.path);
  const technique = kind === 'timer' ? 'T1053.006' : 'T1543.002';
  let named = false;
  for (const { line, text: own } of joinedLines(text)) {
    const at = own.indexOf('=');
    if (at === -1 || own.startsWith('#') || own.startsWith(';')) continue;
    const key = trimmed(own.slice(0, at));
    const value = trimmed(own.slice(at + 1));
    if (value === '') drop(entries, key);
    else if (EXEC.test(key)) entries.push({ key, line, technique, commands: commandsOf(value, origin) });
    else if (ENVIRONMENT.test(key)) {
      const files = wordsOf(value).flatMap((word) => (PRELOAD.test(word) ? preloads(word) : []));
      if (files.length > 0) entries.push({ key, line, technique: 'T1574.006', files });
    } else if (kind !== undefined && (key === 'Unit' || key === 'Service')) {
      named = true;
      entries.push({ key, line, technique, files: [`${directory}/${value}`] });
    }
  }
  if (kind !== undefined && !named && name !== undefined) {
    entries.push({ key: '', line: 1, technique, files: [`${directory}/${name}.service`] });
  }
  return entries;
};

/** A unit that triggers another; `name` is absent for a drop-in, which leaves what is started as it was. */
function unitOf(path: string): { kind?: string; directory: string; name?: string } {
  const dropIn = /^(.*)\/([^/]+)\.d\/[^/]+$/.exec(path);
  const [, directory = '', file = ''] = dropIn ?? /^(.*)\/([^/]+)$/.exec(path) ?? [];
  const kind = TRIGGERS.exec(file)?.[1];
  if (kind === undefined) return { directory };
  return { kind, directory, ...(!dropIn && { name: file.replace(TRIGGERS, '') }) };
}

function drop(entries: { readonly key: string }[], key: string): void {
  for (let last = entries.at(-1); last?.key === key; last = entries.at(-1)) entries.pop();
}

const preloads = (word: string): string[] => librariesIn(word.slice(word.indexOf('=') + 1));

function commandsOf(value: string, { home }: Origin): Command[] {
  const commands: string[][] = [[]];
  for (const word of wordsOf(value)) {
    if (word === ';') commands.push([]);
    else commands.at(-1)?.push(home === undefined ? word : word.replace(/^%h(?=\/)/, home));
  }
  return commands.flatMap(([first = '', ...rest]) => {
    const [prefix = ''] = /^[-@:+!|]{0,8}/.exec(first) ?? [];
    const program = first.slice(prefix.length);
    // With `@` the second word is only the name that the program is given.
    const words = [program, ...(prefix.includes('@') ? rest.slice(1) : rest)];
    return program === '' ? [] : [{ words, assigned: new Map(), targets: [], within: [], piped: false }];
  });
}

/** Words with their quotes taken off; a backslash keeps the next character. */
function wordsOf(value: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < value.length; at++) {
    const char = value[at] as string;
    if (char === '\\') word = (word ?? '') + (value[++at] ?? '');
    else if (char === quote) quote = undefined;
    else if (quote === undefined && (char === '"' || char === "'")) {
      quote = char;
      word ??= '';
    } else if (quote === undefined && (char === ' ' || char === '\t')) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + char;
  }
  return word === undefined ? words : [...words, word];
}

/**
 * udev(7): a rule a line, `KEY="value"` with an operator, separated by commas. `RUN+="…"`, `PROGRAM="…"` and
 * `IMPORT{program}="…"` run a program, which is looked for in /usr/lib/udev when it is no path. Values stand in
 * double quotes with `\"` for a quote.
 */
import { type Entry, joinedLines, type Parser } from '../entry.ts';
import { parseShell } from '../shell.ts';

const RUNS = /(?:^|[,\s])(?:RUN(?:\{program\})?|PROGRAM|IMPORT\{program\})\s{0,8}[+:!=]?=\s{0,8}e?"/g;

export const parseUdevRules: Parser = (text) =>
  joinedLines(text).flatMap(({ line, text: own }): Entry[] => {
    if (own.startsWith('#')) return [];
    const entries: Entry[] = [];
    RUNS.lastIndex = 0;
    while (RUNS.exec(own)) {
      const start = RUNS.lastIndex;
      let end = start;
      while (end < own.length && own[end] !== '"') end += own[end] === '\\' ? 2 : 1;
      const value = own.slice(start, end).replaceAll('\\"', '"');
      entries.push({ line, technique: 'T1546.017', commands: parseShell(value).map(inUdevDirectory) });
      RUNS.lastIndex = end;
    }
    return entries;
  });

function inUdevDirectory<Command extends { readonly words: readonly string[] }>(command: Command): Command {
  const [program = '', ...rest] = command.words;
  const isName = /^[\w.-]{1,255}$/.test(program);
  return isName ? { ...command, words: [`/usr/lib/udev/${program}`, ...rest] } : command;
}

/** What one line of a file makes the guest run by itself. All text is Latin-1: a character stands for a byte. */
import type { Command } from './shell.ts';

export interface Entry {
  /** Of the file, from 1. */
  readonly line: number;
  /** MITRE ATT&CK technique. */
  readonly technique: string;
  /** What runs: parsed commands, in their order. */
  readonly commands?: readonly Command[];
  /** What is loaded or started without being a command: a library, another unit, a kernel module by its name. */
  readonly files?: readonly string[];
  /** Rarely legitimate whatever it runs; says why, for a person. */
  readonly odd?: Oddity;
}

export interface Oddity {
  readonly name: string;
  readonly description: string;
}

/** The file that is read. */
export interface Origin {
  readonly path: string;
  /** The home that it lies in, which `~` and `$HOME` stand for. */
  readonly home?: string;
}

export type Parser = (text: string, origin: Origin) => Entry[];

export interface Line {
  readonly line: number;
  readonly text: string;
}

/** Lines without the blanks around them. Not `trim`, which takes bytes of UTF-8 sequences for blanks. */
export function linesOf(text: string): Line[] {
  return text.split('\n').map((raw, index) => ({ line: index + 1, text: trimmed(raw) }));
}

/** The same, where a backslash at a line's end joins the next one. */
export function joinedLines(text: string): Line[] {
  const joined: Line[] = [];
  let parts: string[] = [];
  let first = 1;
  const flush = (): void => {
    if (parts.length > 0) joined.push({ line: first, text: trimmed(parts.join(' ')) });
    parts = [];
  };
  for (const { line, text: own } of linesOf(text)) {
    if (parts.length === 0) first = line;
    const isContinued = own.endsWith('\\');
    parts.push(isContinued ? own.slice(0, -1) : own);
    if (!isContinued) flush();
  }
  flush();
  return joined;
}

export function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start])) start++;
  while (end > start && isBlank(text[end - 1])) end--;
  return text.slice(start, end);
}

/** The first `count` words, and what follows them as it stands; undefined where there are fewer. */
export function afterWords(text: string, count: number): { words: string[]; rest: string } | undefined {
  const words: string[] = [];
  let at = 0;
  while (words.length < count) {
    const start = at;
    while (at < text.length && !isBlank(text[at])) at++;
    if (at === start) return undefined;
    words.push(text.slice(start, at));
    while (at < text.length && isBlank(text[at])) at++;
  }
  return at < text.length ? { words, rest: text.slice(at) } : undefined;
}

/** `NAME=value` with the quotes around either taken off. */
export function assignmentOf(text: string): { name: string; value: string } | undefined {
  const at = text.indexOf('=');
  if (at === -1) return undefined;
  const name = unquoted(trimmed(text.slice(0, at)));
  return /^[A-Za-z_]\w*$/.test(name) ? { name, value: unquoted(trimmed(text.slice(at + 1))) } : undefined;
}

function unquoted(text: string): string {
  const quote = text[0];
  return text.length > 1 && (quote === '"' || quote === "'") && text.endsWith(quote)
    ? text.slice(1, -1)
    : text;
}

const isBlank = (char: string | undefined): boolean => char === ' ' || char === '\t' || char === '\r';

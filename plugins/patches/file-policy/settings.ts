/**
 * A file of settings that is changed one setting at a time, all else in it kept byte by byte: texts are latin1,
 * so that each character is one byte of the file, whatever its encoding.
 */
export interface SettingsFormat {
  /** What a bundle may ask for by this name and value, or undefined when it may; `expected` is to come before it. */
  expectation(name: string, value: string): string | undefined;
  /** Equal for names that mean the same setting. */
  canonical(name: string): string;
  parse(text: string): SettingsFile | Malformed;
}

/** A line that the format does not have. Whoever reads the file may read it otherwise than we do: it is left alone. */
export interface Malformed {
  readonly line: number;
  readonly fault: string;
}

export type Settings = ReadonlyMap<string, string>;

export interface SettingsFile {
  /** Whether this file makes the setting have that value. */
  holds(name: string, value: string): boolean;
  /** The text in which all of them hold. Those that hold already are not touched. */
  with(settings: Settings): string;
}

export const isMalformed = (parsed: SettingsFile | Malformed): parsed is Malformed => 'fault' in parsed;

/** One line as it stands, cut around its value. */
export interface SettingLine {
  /** Counts from 0. */
  readonly at: number;
  /** Canonical. */
  readonly name: string;
  readonly head: string;
  readonly value: string;
  /** White space and a comment behind the value. */
  readonly tail: string;
}

/** Gives each of these lines the value. */
export function rewrite(lines: string[], settings: readonly SettingLine[], value: string): void {
  for (const { at, head, tail } of settings) lines[at] = `${head}${value}${tail}`;
}

/** Adds lines at the end, where the last line may lack its newline. */
export function append(lines: string[], added: readonly string[]): void {
  if (added.length === 0) return;
  if (lines.at(-1) === '') lines.pop();
  lines.push(...added, '');
}

const BLANK = /[ \t\r\f\v]/;

/** Where the text ends that is followed by blanks alone. By hand: a regular expression backtracks over long blanks. */
export function endOfText(line: string): number {
  let end = line.length;
  while (end > 0 && BLANK.test(line.charAt(end - 1))) end--;
  return end;
}

export function startOfText(line: string, from = 0): number {
  let start = from;
  while (start < line.length && BLANK.test(line.charAt(start))) start++;
  return start;
}

/**
 * sysctl.conf(5), sysctl.d(5): `name = value` a line; `#` or `;` begins a comment line; `-` before a name says that
 * failing to set it is no fault, and alone that the name is left out of patterns. The last value of a name wins.
 * In a name whose first separator is a dot, dots stand for slashes of its path below /proc/sys and slashes for
 * dots; in one whose first separator is a slash, each stands for itself.
 */
import {
  append,
  endOfText,
  type Malformed,
  rewrite,
  type SettingLine,
  type Settings,
  type SettingsFile,
  type SettingsFormat,
  startOfText,
} from './settings.ts';

const NAME = /^[A-Za-z0-9][\w-]*(?:[./][\w:@-]+)+$/;

export const sysctl: SettingsFormat = {
  expectation(name, value) {
    if (!NAME.test(name)) return 'the name of a kernel parameter, such as kernel.kptr_restrict';
    return words(value) === '' ? 'a value' : undefined;
  },
  canonical,
  parse,
};

/** The path below /proc/sys. */
function canonical(name: string): string {
  if (/[./]/.exec(name)?.[0] !== '.') return name;
  return name.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

/** The kernel takes any blanks between the numbers of one value. */
const words = (value: string): string =>
  value
    .trim()
    .split(/[ \t]+/)
    .join(' ');

function parse(text: string): SettingsFile | Malformed {
  const lines = text.split('\n');
  const settings: SettingLine[] = [];
  for (const [at, raw] of lines.entries()) {
    const start = startOfText(raw);
    if (['', '#', ';'].includes(raw.charAt(start))) continue;
    const setting = parseLine(raw, start);
    if (typeof setting === 'string') return { line: at + 1, fault: setting };
    if (setting) settings.push({ ...setting, at });
  }
  return new SysctlFile(lines, settings);
}

/** The parts of a line, undefined when it sets nothing, or what is wrong with it. */
function parseLine(raw: string, start: number): Omit<SettingLine, 'at'> | string | undefined {
  const optional = raw.charAt(start) === '-';
  const from = optional ? startOfText(raw, start + 1) : start;
  const equals = raw.indexOf('=', from);
  if (equals < 0) return optional ? undefined : 'expected "=" between a name and its value';
  const name = raw.slice(from, endOfText(raw.slice(0, equals)));
  if (name.length === 0 || /[ \t]/.test(name)) return 'expected one name before "="';
  const valueEnd = Math.max(equals + 1, endOfText(raw));
  const valueFrom = Math.min(startOfText(raw, equals + 1), valueEnd);
  return {
    name: canonical(name),
    head: raw.slice(0, valueFrom),
    value: raw.slice(valueFrom, valueEnd),
    tail: raw.slice(valueEnd),
  };
}

class SysctlFile implements SettingsFile {
  private readonly lines: readonly string[];
  private readonly settings: readonly SettingLine[];

  constructor(lines: readonly string[], settings: readonly SettingLine[]) {
    this.lines = lines;
    this.settings = settings;
  }

  holds(name: string, value: string): boolean {
    const last = this.linesOf(name).at(-1);
    return last !== undefined && words(last.value) === words(value);
  }

  with(settings: Settings): string {
    const lines = [...this.lines];
    const added: string[] = [];
    for (const [name, value] of settings) {
      if (this.holds(name, value)) continue;
      const existing = this.linesOf(name);
      rewrite(lines, existing, value);
      if (existing.length === 0) added.push(`${name} = ${value}`);
    }
    append(lines, added);
    return lines.join('\n');
  }

  private linesOf(name: string): SettingLine[] {
    const wanted = canonical(name);
    return this.settings.filter((line) => line.name === wanted);
  }
}

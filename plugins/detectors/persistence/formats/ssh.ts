/**
 * authorized_keys: `[options] type key [comment]` a line; options are separated by commas, their values stand in
 * double quotes with `\"` for a quote. sshd_config: `Keyword arguments` a line, keywords in any case.
 * Source: sshd(8) "AUTHORIZED_KEYS FILE FORMAT", sshd_config(5).
 */
import { afterWords, type Entry, linesOf, type Parser } from '../entry.ts';
import { parseShell } from '../shell.ts';
import { librariesIn, withHome } from '../started.ts';

const TECHNIQUE = 'T1098.004';
const RUNS = new Set(['authorizedkeyscommand', 'authorizedprincipalscommand', 'forcecommand']);

export const parseAuthorizedKeys: Parser = (text, { home }) =>
  linesOf(text).flatMap(({ line, text: own }): Entry[] => {
    if (own.startsWith('#')) return [];
    return optionsOf(own).flatMap(({ name, value }): Entry[] => {
      if (name === 'command')
        return [{ line, technique: TECHNIQUE, commands: parseShell(value, withHome(home)) }];
      if (name !== 'environment' || !/^LD_(?:PRELOAD|AUDIT)=/.test(value)) return [];
      const description = `A key loads a library into its sessions: ${value.slice(0, 160)}`;
      const files = librariesIn(value.slice(value.indexOf('=') + 1));
      return [{ line, technique: TECHNIQUE, files, odd: { name: 'key-sets-loader', description } }];
    });
  });

/** The options with a value that stand before the key. */
function optionsOf(line: string): { readonly name: string; readonly value: string }[] {
  const options: { name: string; value: string }[] = [];
  let name = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (char === ' ' || char === '\t') break;
    if (char === ',') name = '';
    else if (char === '=' && line[at + 1] === '"') {
      const { value, end } = quotedAt(line, at + 2);
      options.push({ name: name.toLowerCase(), value });
      name = '';
      at = end;
    } else name += char;
  }
  return options;
}

function quotedAt(text: string, start: number): { value: string; end: number } {
  let value = '';
  let at = start;
  for (; at < text.length && text[at] !== '"'; at++) {
    if (text[at] === '\\' && text[at + 1] === '"') at++;
    value += text[at];
  }
  return { value, end: at };
}

export const parseSshdConfig: Parser = (text) =>
  linesOf(text).flatMap(({ line, text: own }) => {
    const setting = afterWords(own, 1);
    const keyword = setting?.words[0]?.toLowerCase() ?? '';
    if (setting === undefined || !RUNS.has(keyword)) return [];
    return [{ line, technique: TECHNIQUE, commands: parseShell(setting.rest) }];
  });

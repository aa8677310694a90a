/**
 * apt.conf(5): commands that apt runs around its work, in the options `DPkg::Pre-Invoke`, `Post-Invoke`,
 * `Post-Invoke-Success`, `Pre-Install-Pkgs`: a quoted value, or a list of them in braces. dpkg.cfg of dpkg(1):
 * `pre-invoke=COMMAND` and `post-invoke=COMMAND`.
 */
import { type Entry, linesOf, type Parser } from '../entry.ts';
import { parseShell } from '../shell.ts';

const HOOK = /(?:Pre|Post)-(?:Invoke|Install-Pkgs)/i;
const DPKG = /^(?:pre|post)-invoke[= ]/;

export const parseAptHooks: Parser = (text) => {
  const entries: Entry[] = [];
  const add = (line: number, command: string) =>
    entries.push({ line, technique: 'T1546.016', commands: parseShell(command) });
  let isWithin = false;
  for (const { line, text: own } of linesOf(text)) {
    if (own.startsWith('#') || own.startsWith('//')) continue;
    if (DPKG.test(own)) {
      add(line, own.slice(own.search(/[= ]/) + 1));
      continue;
    }
    const { values, rest } = quotedIn(own);
    const isHook = HOOK.test(rest);
    if (isHook || isWithin) for (const value of values) add(line, value);
    isWithin = (isHook ? rest.includes('{') || !rest.endsWith(';') : isWithin) && !rest.includes('}');
  }
  return entries;
};

/** What stands in double quotes, and the line without it. */
function quotedIn(line: string): { values: string[]; rest: string } {
  const values: string[] = [];
  let rest = '';
  for (let at = 0; at < line.length; at++) {
    if (line[at] !== '"') {
      rest += line[at];
      continue;
    }
    let end = at + 1;
    while (end < line.length && line[end] !== '"') end += line[end] === '\\' ? 2 : 1;
    values.push(line.slice(at + 1, end).replaceAll('\\"', '"'));
    at = end;
  }
  return { values, rest };
}

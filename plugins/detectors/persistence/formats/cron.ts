/**
 * crontab(5), anacrontab(5): one job a line, `NAME=value` lines between them, `#` comments. Five fields of time
 * or one `@word`; in /etc/crontab and /etc/cron.d a user; then the command for `SHELL` (else sh), in which an
 * unescaped `%` ends the command and begins its input. anacron: period, delay, identifier, command.
 * Source: the manual pages of cron 3.0 and anacron 2.3.
 */
import { afterWords, assignmentOf, type Entry, linesOf, type Parser } from '../entry.ts';
import { parseShell } from '../shell.ts';
import { librariesIn, withHome } from '../started.ts';

const TECHNIQUE = 'T1053.003';
const USUAL_SHELL = /^(?:\/usr)?\/bin\/\w{1,16}$/;

export const parseSystemCrontab: Parser = (text, { home }) => jobs(text, 5, 1, home);
export const parseUserCrontab: Parser = (text, { home }) => jobs(text, 5, 0, home);
export const parseAnacrontab: Parser = (text, { home }) => jobs(text, 1, 2, home);

/** `times` words of time, or a single `@word`; then so many others before the command. */
function jobs(text: string, times: number, others: number, home?: string): Entry[] {
  return linesOf(text).flatMap(({ line, text: own }): Entry[] => {
    if (own === '' || own.startsWith('#')) return [];
    const setting = assignmentOf(own);
    if (setting) return settingEntry(line, setting);
    const job = afterWords(own, (own.startsWith('@') ? 1 : times) + others);
    if (job === undefined) return [];
    return [{ line, technique: TECHNIQUE, commands: parseShell(beforeInput(job.rest), withHome(home)) }];
  });
}

/** Variables that make every job of the file start something more. */
function settingEntry(line: number, { name, value }: { name: string; value: string }): Entry[] {
  if (name === 'SHELL')
    return USUAL_SHELL.test(value) ? [] : [{ line, technique: TECHNIQUE, files: [value] }];
  if (name !== 'LD_PRELOAD') return [];
  return [{ line, technique: 'T1574.006', files: librariesIn(value) }];
}

function beforeInput(command: string): string {
  const end = command.search(/(?<!\\)%/);
  return (end === -1 ? command : command.slice(0, end)).replaceAll('\\%', '%');
}

/**
 * Kernel modules. modprobe.d(5): `install MODULE COMMAND` and `remove MODULE COMMAND` run a shell instead of
 * loading. modules-load.d(5) and modules(5): a module's name a line, `#` and `;` begin comments.
 */
import { afterWords, joinedLines, linesOf, type Parser } from '../entry.ts';
import { parseShell } from '../shell.ts';

const TECHNIQUE = 'T1547.006';

export const parseModprobe: Parser = (text) =>
  joinedLines(text).flatMap(({ line, text: own }) => {
    const { words: [verb] = [], rest = '' } = afterWords(own, 2) ?? {};
    if (verb !== 'install' && verb !== 'remove') return [];
    return [{ line, technique: TECHNIQUE, commands: parseShell(rest) }];
  });

export const parseModules: Parser = (text) =>
  linesOf(text).flatMap(({ line, text: own }) => {
    const [name = ''] = own.split(/[ \t]/, 1);
    // A name as the kernel knows it, which takes `-` for `_`; where the file lies depends on the kernel that runs.
    return /^[\w-]{1,64}$/.test(name)
      ? [{ line, technique: TECHNIQUE, files: [name.replaceAll('-', '_')] }]
      : [];
  });

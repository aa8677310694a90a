/** inittab(5): `id:levels:action:process` a line; a process that begins with `+` is not noted in utmp. */
import { linesOf, type Parser } from '../entry.ts';
import { parseShell } from '../shell.ts';

export const parseInittab: Parser = (text) =>
  linesOf(text).flatMap(({ line, text: own }) => {
    if (own.startsWith('#')) return [];
    const process = own.split(':').slice(3).join(':');
    return process === ''
      ? []
      : [{ line, technique: 'T1037.004', commands: parseShell(process.replace(/^\+/, '')) }];
  });

/**
 * What the dynamic loader adds to every program. /etc/ld.so.preload: libraries, separated by blanks or colons
 * (ld.so(8)). /etc/environment and environment.d(5): `NAME=value` a line, into every session.
 */
import { assignmentOf, type Entry, linesOf, type Parser } from '../entry.ts';
import { librariesIn } from '../started.ts';

export const parsePreload: Parser = (text) =>
  linesOf(text).flatMap(({ line, text: own }) => {
    const files = librariesIn(own.replace(/#.*$/, ''));
    return files.length > 0 ? [loading(line, files, 'Every program of the guest')] : [];
  });

export const parseEnvironment: Parser = (text) =>
  linesOf(text).flatMap(({ line, text: own }) => {
    const setting = own.startsWith('#') ? undefined : assignmentOf(own.replace(/^export[ \t]/, ''));
    const isLoader = setting?.name === 'LD_PRELOAD' || setting?.name === 'LD_AUDIT';
    const files = isLoader ? librariesIn(setting.value) : [];
    return files.length > 0 ? [loading(line, files, 'Every session')] : [];
  });

function loading(line: number, files: readonly string[], who: string): Entry {
  const description = `${who} loads ${files.slice(0, 5).join(' ').slice(0, 160)}`;
  return { line, technique: 'T1574.006', files, odd: { name: 'preloaded-library', description } };
}

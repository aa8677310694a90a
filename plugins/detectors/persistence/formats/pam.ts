/**
 * pam.conf(5): `[service] type control module [arguments]` a line. A module by its full path is loaded into every
 * program that asks PAM; pam_exec(8) runs the first of its arguments that is a path.
 */
import { type Entry, joinedLines, type Parser } from '../entry.ts';
import { librariesIn } from '../started.ts';

const MOST_WORDS = 1000;
/** Where distributions keep their modules; one of these named in full starts nothing of its own. */
const USUAL = /^(?:\/usr)?\/lib(?:64|\/[\w-]{1,64})?\/security\/pam_exec\.so$/;

export const parsePam: Parser = (text) =>
  joinedLines(text).flatMap(({ line, text: own }): Entry[] => {
    if (own.startsWith('#')) return [];
    const words = librariesIn(own.slice(0, 64 * 1024)).slice(0, MOST_WORDS);
    const module = words.findIndex((word) => word.endsWith('.so'));
    if (module === -1) return [];
    const path = words[module] ?? '';
    const files = path.startsWith('/') && !USUAL.test(path) ? [path] : [];
    const program = path.endsWith('pam_exec.so')
      ? words.slice(module).find((word) => /^\/.*(?<!\.so)$/.test(word))
      : undefined;
    if (program !== undefined) files.push(program);
    return files.length > 0 ? [{ line, technique: 'T1556.003', files }] : [];
  });

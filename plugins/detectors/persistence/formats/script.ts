/** A whole shell script, or one that shells read as they start. Line by line, so that no quote that is misread hides the rest. */
import { joinedLines, type Parser } from '../entry.ts';
import { parseShell } from '../shell.ts';
import { withHome } from '../started.ts';

export const scriptParser =
  (technique: string): Parser =>
  (text, { home }) => {
    const variables = withHome(home);
    return joinedLines(text).flatMap(({ line, text: own }) => {
      if (own === '' || own.startsWith('#')) return [];
      return [{ line, technique, commands: parseShell(own, variables) }];
    });
  };

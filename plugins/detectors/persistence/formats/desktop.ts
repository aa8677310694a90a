/** Desktop Entry Specification 1.5, as used by the autostart of desktops: `Exec=` holds a command line. */
import { type Entry, linesOf, type Parser, trimmed } from '../entry.ts';
import { parseShell } from '../shell.ts';
import { withHome } from '../started.ts';

export const parseDesktopEntry: Parser = (text, { home }) =>
  linesOf(text).flatMap(({ line, text: own }): Entry[] => {
    const at = own.indexOf('=');
    if (at === -1 || trimmed(own.slice(0, at)) !== 'Exec') return [];
    const commands = parseShell(trimmed(own.slice(at + 1)), withHome(home));
    return [{ line, technique: 'T1547.013', commands }];
  });

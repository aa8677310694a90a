/** A text file's lines, streamed. A line without end must not fill the memory: it comes cut and can be told by its length. */
import { createReadStream } from 'node:fs';
import { PluginError } from 'lazaret/plugin';

export const LONGEST_LINE = 64 * 1024;
const CHUNK = 64 * 1024;

/**
 * All lines in their order, some at a time. One that is longer than `LONGEST_LINE` comes as its beginning, one
 * character longer than that. Throws PluginError `bad-signatures` when the file cannot be read, or the signal's reason.
 */
export async function* readLines(path: string, signal: AbortSignal): AsyncGenerator<string[]> {
  let rest = '';
  let begun = false;
  try {
    for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: CHUNK, signal })) {
      const lines = (begun ? rest + chunk : withoutMark(chunk)).split('\n');
      begun = true;
      rest = cut(lines.pop() ?? '');
      yield lines.map(cut);
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw new PluginError('bad-signatures', `cannot read the hash list ${path}: check the option "lists"`, {
      cause,
    });
  }
  if (rest !== '') yield [rest];
}

const cut = (line: string): string => (line.length > LONGEST_LINE ? line.slice(0, LONGEST_LINE + 1) : line);

/** Some editors begin a file with a byte order mark. */
const withoutMark = (text: string): string => text.replace(/^\ufeff/, '');

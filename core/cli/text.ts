/** Text that is harmless on a terminal and fits into columns. */
import { displayText } from '../../protocol/index.ts';

export { displayWire } from '../../protocol/index.ts';

/**
 * The last guard before a terminal: whatever could still act on it is escaped. Text that was made harmless
 * before passes unchanged, so that nothing is escaped twice.
 */
export const harmless = (text: string): string =>
  text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character) => displayText(character));

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Shown two columns wide by terminals: East Asian scripts, full-width forms, emoji. */
const WIDE =
  /^[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6]/u;
const ZERO = /^\p{M}/u;

const widthOf = (grapheme: string): number => (WIDE.test(grapheme) ? 2 : ZERO.test(grapheme) ? 0 : 1);

const isPlain = (text: string): boolean => /^[ -~]*$/.test(text);

/** Columns that `text` takes on a terminal. */
export function columnsOf(text: string): number {
  if (isPlain(text)) return text.length;
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) columns += widthOf(segment);
  return columns;
}

/** `text` in at most `columns`; the end is kept longer than the start, as paths differ there. */
export function shorten(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  if (columns < 2) return '…'.slice(0, Math.max(0, columns));
  const parts = Array.from(graphemes.segment(text), ({ segment }) => segment);
  const head = take(parts, Math.floor((columns - 1) / 3));
  const tail = take(parts.toReversed(), columns - 1 - columnsOf(head.join('')));
  return `${head.join('')}…${tail.toReversed().join('')}`;
}

function take(parts: readonly string[], columns: number): string[] {
  let left = columns;
  const taken: string[] = [];
  for (const part of parts) {
    left -= widthOf(part);
    if (left < 0) break;
    taken.push(part);
  }
  return taken;
}

/** Fills up with spaces to `columns`. */
export const pad = (text: string, columns: number, align: 'left' | 'right' = 'left'): string => {
  const fill = ' '.repeat(Math.max(0, columns - columnsOf(text)));
  return align === 'left' ? text + fill : fill + text;
};

/** JSON lines for programs, harmless on a terminal as well. */

/**
 * JSON.stringify escapes C0 controls alone. C1 controls (U+009B starts a terminal sequence like ESC [), bidi marks and
 * other invisible characters are escaped here, which leaves the value the same.
 */
const INVISIBLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

export const jsonLine = (value: unknown): string =>
  `${JSON.stringify(value).replace(INVISIBLE, (character) =>
    Array.from({ length: character.length }, (_, at) => escapeUnit(character.charCodeAt(at))).join(''),
  )}\n`;

const escapeUnit = (unit: number): string => `\\u${unit.toString(16).padStart(4, '0')}`;

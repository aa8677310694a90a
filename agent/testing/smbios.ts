/** SMBIOS structures as firmware makes them, for tests. */

/** With a formatted area of five bytes, the last of which counts the strings. */
export function structureOf(type: number, strings: readonly string[]): Buffer {
  const formatted = Buffer.from([type, 5, 0, 14, strings.length]);
  const ended = strings.map((text) => Buffer.from(`${text}\0`, 'latin1'));
  return Buffer.concat([formatted, ...ended, Buffer.alloc(strings.length > 0 ? 1 : 2)]);
}

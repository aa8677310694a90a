/**
 * What both formats come down to.
 *
 * @typedef {object} Region A part of the file that is loaded into memory.
 * @property {string} name
 * @property {number} start Offset in the file.
 * @property {number} end
 * @property {boolean} executable
 *
 * @typedef {object} Program
 * @property {readonly Region[]} regions
 * @property {readonly string[]} sections Names of all sections, loaded or not.
 */

/**
 * The part of a region that the file has; undefined when it has none of it.
 *
 * @param {{ name: string, offset: number | undefined, size: number | undefined, executable: boolean }} declared
 * @param {number} fileSize
 * @returns {Region | undefined}
 */
export function regionWithin({ name, offset, size, executable }, fileSize) {
  if (offset === undefined || size === undefined || offset >= fileSize || size === 0) return undefined;
  return { name, start: offset, end: Math.min(offset + size, fileSize), executable };
}

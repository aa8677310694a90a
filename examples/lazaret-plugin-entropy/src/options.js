/**
 * The plugin's options, as a schema that any library could have made (https://standardschema.dev). By hand, so
 * that this package depends on nothing.
 *
 * @typedef {object} Options
 * @property {number} minEntropy Bits per byte of executable content from which a program counts as packed.
 */

const DEFAULTS = { minEntropy: 7.2 };
/** Below 6 is what compilers make, above 8 there is nothing. */
const LEAST = 6;
const MOST = 8;

/** @type {import('lazaret/plugin').StandardSchema<Options>} */
export const optionsSchema = {
  '~standard': { version: 1, vendor: 'lazaret-plugin-entropy', validate },
};

/**
 * @param {unknown} value
 * @returns {import('lazaret/plugin').StandardResult<Options>}
 */
function validate(value) {
  if (typeof value !== 'object' || value === null) return { issues: [{ message: 'expected a mapping' }] };
  const unknown = Object.keys(value).filter((key) => !(key in DEFAULTS));
  const issues = unknown.map((key) => ({ message: 'there is no such option', path: [key] }));
  const { minEntropy } = { ...DEFAULTS, .../** @type {Partial<Options>} */ (value) };
  if (typeof minEntropy !== 'number' || !(minEntropy >= LEAST && minEntropy <= MOST)) {
    issues.push({ message: `expected a number from ${LEAST} to ${MOST}`, path: ['minEntropy'] });
  }
  return issues.length > 0 ? { issues } : { value: { minEntropy } };
}

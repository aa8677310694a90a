/** Whether a program is packed: by the name that its packer left, or by code that is no machine code. */
import { readElf } from './elf.js';
import { entropyOf } from './entropy.js';
import { readPe } from './pe.js';

/** MITRE ATT&CK: Obfuscated Files or Information, Software Packing. */
const SOFTWARE_PACKING = 'T1027.002';
/** What packers call their sections. */
const PACKERS = new Map([
  ['UPX0', 'UPX'],
  ['UPX1', 'UPX'],
  ['.aspack', 'ASPack'],
  ['.MPRESS1', 'MPRESS'],
  ['.MPRESS2', 'MPRESS'],
  ['.petite', 'Petite'],
  ['.themida', 'Themida'],
  ['.vmp0', 'VMProtect'],
  ['.vmp1', 'VMProtect'],
  ['.nsp0', 'NsPack'],
  ['.nsp1', 'NsPack'],
  ['PEC2', 'PECompact'],
  ['.enigma1', 'Enigma'],
  ['.Upack', 'Upack'],
  ['kkrunchy', 'kkrunchy'],
]);
/** UPX leaves a header behind the segment table of ELF programs, which have no sections any more. */
const UPX_MARK = 'UPX!';
const UPX_MARK_WITHIN = 1_024;
/** Fewer bytes look random by chance, and hide nothing. */
const LEAST_BYTES = 1_024;
/** A table may name the same bytes over and over: how much is looked at, in multiples of the file. */
const MOST_PASSES = 8;

/**
 * @typedef {{ readonly detections: readonly import('lazaret/plugin').Detection[] } | { readonly limit: string }} Judged
 *
 * @param {Buffer} file
 * @param {import('./options.js').Options} options
 * @returns {Judged}
 */
export function judge(file, { minEntropy }) {
  const program = readElf(file) ?? readPe(file);
  if (program === undefined) return { detections: [] };
  const code = program.regions.filter(
    ({ executable, start, end }) => executable && end - start >= LEAST_BYTES,
  );
  const bytes = code.reduce((sum, { start, end }) => sum + end - start, 0);
  if (bytes > MOST_PASSES * file.length) return { limit: 'its regions overlap too often' };
  const dense = code
    .map((region) => ({ region, entropy: entropyOf(file.subarray(region.start, region.end)) }))
    .find(({ entropy }) => entropy >= minEntropy);
  return {
    detections: [...packersOf(program, file).map(byName), ...(dense ? [byEntropy(dense)] : [])],
  };
}

/**
 * @param {import('./program.js').Program} program
 * @param {Buffer} file
 */
function packersOf({ sections }, file) {
  const packers = new Set(sections.map((name) => PACKERS.get(name)).filter((name) => name !== undefined));
  if (file.subarray(0, UPX_MARK_WITHIN).includes(UPX_MARK)) packers.add('UPX');
  return [...packers];
}

/**
 * @param {string} packer
 * @returns {import('lazaret/plugin').Detection}
 */
const byName = (packer) => ({
  judgement: 'suspicious',
  name: `Packed.${packer}`,
  description: `It was packed with ${packer}, which hides what is in it`,
  attack: [SOFTWARE_PACKING],
});

/**
 * @param {{ region: import('./program.js').Region, entropy: number }} dense
 * @returns {import('lazaret/plugin').Detection}
 */
const byEntropy = ({ region, entropy }) => ({
  judgement: 'suspicious',
  name: 'Packed.HighEntropy',
  // The name of a section is the guest's: JSON makes it one harmless word.
  description: `The code in ${JSON.stringify(region.name)} has ${entropy.toFixed(2)} bits of entropy per byte; machine code has about 6`,
  attack: [SOFTWARE_PACKING],
});

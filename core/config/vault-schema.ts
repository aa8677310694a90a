/** How much may lie in quarantine. A guest decides how much of it is malicious, so each has a bound of its own. */
import { bytes } from './quantity.ts';
import { mapping, wholeNumber } from './values.ts';

const perVm = mapping({
  maxBytes: bytes().optional().describe('Bytes of one VM. Default: a quarter of vault.maxBytes.'),
  maxFiles: wholeNumber().default(10_000).describe('Files of one VM.'),
  filesPerHour: wholeNumber()
    .default(1_000)
    .describe('Files that are contained from one VM within an hour; those beyond are for a later scan.'),
});

export const vault = mapping({
  maxBytes: bytes()
    .optional()
    .describe("Bytes of all VMs. Default: half of the size of the state directory's file system."),
  maxFiles: wholeNumber().default(100_000).describe('Files of all VMs.'),
  keepFree: bytes()
    .prefault('256MiB')
    .describe('Free space that is left to findings and journal: what would take it is not contained.'),
  perVm: perVm.prefault({}).describe('Bounds on what one VM may have there.'),
});

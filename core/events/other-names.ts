/** Names of a file that a scan did not meet, in words. */
import type { FindingRecord } from '../store/records.ts';

const NEXT = 'look at the whole guest, and at what is excluded';

/** Undefined where there is none. */
export function otherNames({ subject, response }: FindingRecord): string | undefined {
  if (subject.kind !== 'file' || subject.names === undefined) return undefined;
  const { all, found } = subject.names;
  if (found === undefined)
    return `the file has ${all} names, of which others may not have been found: ${NEXT}`;
  const others = all - found;
  if (others <= 0) return undefined;
  const counted = `${found} of its ${all} names ${found === 1 ? 'was' : 'were'} found`;
  const isRemoved = response === 'contained' || response === 'deleted';
  const where = others === 1 ? '1 other name' : `${others} other names`;
  return `${counted}; ${isRemoved ? 'its content is still in the guest, under' : 'it also has'} ${where}: ${NEXT}`;
}

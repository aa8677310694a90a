/**
 * How a content lies in the vault: behind a header, and changed so that it neither runs nor is found by scanners.
 *
 * Block by block (4 KiB, the last one may be shorter) each byte is XORed with 0xA5. The two blocks that this would
 * turn into each other stay as they are: one of nothing but zeros, which is left a hole in the file, so that a
 * content that is long and nearly empty is so in the vault; and one of nothing but 0xA5. So to do it twice gives the
 * content back, whatever it is. The header fills the first block, or no block would be a hole.
 *
 * The first release wrote a shorter header and XORed every byte.
 */
import { BLOCK_BYTES, isEmpty } from './sparse.ts';

const MASK = 0xa5;
const MASKS = Buffer.alloc(BLOCK_BYTES, MASK);

const title = (version: number, how: string): Buffer =>
  Buffer.from(
    `LAZARET-VAULT ${version}\n` +
      'The content of a file that was taken out of a guest because it was judged malicious.\n' +
      `What follows is that content, each byte XORed with 0xA5${how}. Get it back with: lazaret quarantine restore\n\n`,
  );

export const FIRST_HEADER: Buffer = title(1, '');
export const HEADER: Buffer = padded(
  title(2, ' but in blocks of 4096 bytes that are all 00 or all A5, which follows at offset 4096'),
);

function padded(text: Buffer): Buffer {
  return Buffer.concat([text, Buffer.alloc(BLOCK_BYTES - text.length, '\n')]);
}

/** Changes bytes that begin at a block, or changes them back. */
export function neutralise(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = bytes.subarray(at, at + BLOCK_BYTES);
    if (!isEmpty(block) && !isMasks(block)) mask(block);
  }
}

export function mask(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ MASK;
}

const isMasks = (block: Buffer): boolean => MASKS.compare(block, 0, block.length, 0, block.length) === 0;

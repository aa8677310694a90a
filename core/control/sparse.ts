/** Files with holes: blocks of nothing but zeros are not written, and read as what they are. */
import type { FileHandle } from 'node:fs/promises';

export const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Writes bytes that begin at a block to their place, but for empty blocks. */
export async function writeRuns(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (const [from, to] of runsOfData(bytes)) {
    for (let at = from; at < to; ) {
      at += (await file.write(bytes, at, to - at, position + at)).bytesWritten;
    }
  }
}

/** Fills an empty file with chunks that are whole blocks, but for the last. */
export async function writeSparse(file: FileHandle, content: AsyncIterable<Uint8Array>): Promise<void> {
  let length = 0;
  for await (const chunk of content) {
    await writeRuns(file, chunk, length);
    length += chunk.length;
  }
  // It may end in a hole.
  await file.truncate(length);
}

/** The blocks that are not empty; those that follow each other as one. */
function* runsOfData(bytes: Uint8Array): Generator<[from: number, to: number]> {
  let begin: number | undefined;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    if (!isEmpty(bytes.subarray(at, at + BLOCK_BYTES))) begin ??= at;
    else if (begin !== undefined) {
      yield [begin, at];
      begin = undefined;
    }
  }
  if (begin !== undefined) yield [begin, bytes.length];
}

export const isEmpty = (block: Uint8Array): boolean =>
  ZEROS.compare(block, 0, block.length, 0, block.length) === 0;

import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TempDirectory } from '../testing/tree.ts';
import { SparseWriter } from './sparse.ts';

const BLOCK = 4096;

async function written(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const descriptor = openSync(path, 'w');
  const writer = new SparseWriter(descriptor);
  for (const piece of pieces) await writer.write(piece);
  await writer.end();
  closeSync(descriptor);
}

it('what is written is what is read, in whatever pieces it comes', async () => {
  using directory = new TempDirectory();
  const path = join(directory.path, 'file');
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.nat({ max: 3 * BLOCK }).map((length) => new Uint8Array(length)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
      await written(path, pieces);
      expect(readFileSync(path).equals(Buffer.concat(pieces))).toBe(true);
    }),
    { numRuns: 100 },
  );
});

it('zeros take no room, where they fill blocks', async () => {
  using directory = new TempDirectory();
  const path = join(directory.path, 'file');
  const empty = new Uint8Array(1024 * 1024 + 1);
  await written(path, [Buffer.from('a'), empty, Buffer.from('b'), empty]);
  const { size, blocks } = statSync(path);
  expect(size).toBe(2 * empty.length + 2);
  expect(blocks * 512).toBeLessThanOrEqual(4 * BLOCK);
});

import { expect, it } from 'vitest';
import { giveMemoryBack } from './give-back.ts';

const MIB = 2 ** 20;

it('gives back what is not used any more, and nothing else', async () => {
  await giveMemoryBack();
  const before = process.memoryUsage().arrayBuffers;
  const kept = Buffer.alloc(8 * MIB, 1);
  let dropped: Buffer | undefined = Buffer.alloc(64 * MIB, 1);
  expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(71 * MIB);
  dropped = undefined;
  await expect
    .poll(async () => {
      await giveMemoryBack();
      return process.memoryUsage().arrayBuffers - before;
    })
    .toBeLessThan(12 * MIB);
  expect([kept[0], dropped, 'gc' in globalThis]).toEqual([1, undefined, false]);
});

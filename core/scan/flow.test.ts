import { describe, expect, it } from 'vitest';
import { batched, batchedEach, parallel } from './flow.ts';

async function* numbers(count: number, seen?: { pulled: number; returned: boolean }): AsyncGenerator<number> {
  try {
    for (let number = 0; number < count; number++) {
      if (seen) seen.pulled = number + 1;
      yield number;
    }
  } finally {
    if (seen) seen.returned = true;
  }
}

const collect = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => Array.fromAsync(items);

describe('parallel', () => {
  it('gives every result once, whatever finishes first', async () => {
    const release = Promise.withResolvers<void>();
    const results = parallel(numbers(5), 2, async function* (number) {
      if (number === 0) await release.promise;
      yield number * 10;
      if (number === 4) release.resolve();
    });
    expect((await collect(results)).sort((a, b) => a - b)).toEqual([0, 10, 20, 30, 40]);
  });

  it('gives nothing for nothing', async () => {
    expect(await collect(parallel(numbers(0), 3, numbers))).toEqual([]);
  });

  it('pulls no further than its width and its results allow', async () => {
    const seen = { pulled: 0, returned: false };
    const results = parallel(numbers(1000, seen), 2, async function* (number) {
      yield number;
    });
    await results.next();
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    expect(seen.pulled).toBeLessThanOrEqual(6);
    await results.return(undefined);
    expect(seen.returned).toBe(true);
  });

  it('ends with the first error, after the results that came before it', async () => {
    const results = parallel(numbers(5), 1, async function* (number) {
      if (number === 2) throw new Error('broken at two');
      yield number;
    });
    const taken: number[] = [];
    await expect(
      (async () => {
        for await (const result of results) taken.push(result);
      })(),
    ).rejects.toThrow('broken at two');
    expect(taken).toEqual([0, 1]);
  });

  it('lets what is under way come to its end before it throws', async () => {
    const release = Promise.withResolvers<void>();
    const results = parallel(numbers(100), 2, async function* (number) {
      if (number === 1) {
        release.resolve();
        throw new Error('broken at one');
      }
      await release.promise;
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      yield number;
    });
    const taken: number[] = [];
    await expect(
      (async () => {
        for await (const result of results) taken.push(result);
      })(),
    ).rejects.toThrow('broken at one');
    expect(taken).toEqual([0]);
  });

  it('ends with an error of its source', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new Error('source broken');
    }
    await expect(collect(parallel(broken(), 2, (number) => numbers(number)))).rejects.toThrow(
      'source broken',
    );
  });
});

describe('batched', () => {
  it('ends a batch at its count, at its weight, and at the end', async () => {
    expect(await collect(batched(numbers(7), 3, 100, (number) => number))).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6],
    ]);
    expect(await collect(batched(numbers(7), 100, 8, (number) => number))).toEqual([
      [0, 1, 2, 3],
      [4],
      [5],
      [6],
    ]);
  });

  it('gives what weighs too much alone', async () => {
    expect(await collect(batched([1, 1, 50, 1, 8, 1], 100, 8, (number) => number))).toEqual([
      [1, 1],
      [50],
      [1],
      [8],
      [1],
    ]);
  });

  it('keeps nothing of a group back until the next comes', async () => {
    const next = Promise.withResolvers<void>();
    async function* groups(): AsyncGenerator<number[]> {
      yield [1, 2, 3];
      await next.promise;
      yield [4];
    }
    const batches = batchedEach(groups(), 2, 100, () => 1);
    expect((await batches.next()).value).toEqual([1, 2]);
    expect((await batches.next()).value).toEqual([3]);
    next.resolve();
    expect(await collect(batches)).toEqual([[4]]);
  });

  it('gives what was gathered before the source failed, then fails', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield* [1, 2, 3];
      throw new Error('source broken');
    }
    const taken: number[][] = [];
    await expect(
      (async () => {
        for await (const batch of batched(broken(), 2, 100, () => 1)) taken.push(batch);
      })(),
    ).rejects.toThrow('source broken');
    expect(taken).toEqual([[1, 2], [3]]);
  });

  it('gives no empty batch', async () => {
    expect(await collect(batched(numbers(0), 3, 8, () => 1))).toEqual([]);
  });
});

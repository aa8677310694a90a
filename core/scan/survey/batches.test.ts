import { describe, expect, it } from 'vitest';
import { Batches } from './batches.ts';

describe('questions', () => {
  it('that are asked together go together, in requests of so many, one after another', async () => {
    const requests: (readonly number[])[] = [];
    let underWay = 0;
    const batches = new Batches<number, string>(2, async (numbers) => {
      expect(++underWay).toBe(1);
      requests.push(numbers);
      await Promise.resolve();
      underWay--;
      return numbers.map(String);
    });
    const answers = await Promise.all([1, 2, 3].map((one) => batches.answer(one)));
    expect(answers).toEqual(['1', '2', '3']);
    expect(await batches.answer(4)).toBe('4');
    expect(requests).toEqual([[1, 2], [3], [4]]);
  });

  it('are not asked any more once an answer failed', async () => {
    let asked = 0;
    const batches = new Batches<number, string>(1, async () => {
      asked++;
      throw new Error('lost');
    });
    const first = await Promise.allSettled([1, 2].map((one) => batches.answer(one)));
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(batches.answer(3)).rejects.toThrow('lost');
    expect(asked).toBe(1);
  });
});

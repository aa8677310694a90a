import { describe, expect, it } from 'vitest';
import { Cached } from './cached.ts';

const AGE = { fresh: 10, stale: 100 };

/** Answers are given out one by one, as the test says. */
class Source {
  now = 0;
  readonly asked: PromiseWithResolvers<string>[] = [];
  readonly cached = new Cached(
    () => {
      const answer = Promise.withResolvers<string>();
      this.asked.push(answer);
      return answer.promise;
    },
    () => this.now,
  );

  get(): Promise<string> {
    return this.cached.get(AGE);
  }
}

describe('what is known of another', () => {
  it('is asked for once by many, and stands while it is fresh', async () => {
    const source = new Source();
    const both = Promise.all([source.get(), source.get()]);
    source.asked[0]?.resolve('one');
    expect(await both).toEqual(['one', 'one']);
    source.now = 10;
    expect(await source.get()).toBe('one');
    expect(source.asked).toHaveLength(1);
  });

  it('stands a little longer while it is asked for again, and no longer', async () => {
    const source = new Source();
    source.asked.push();
    const first = source.get();
    source.asked[0]?.resolve('one');
    await first;
    source.now = 50;
    expect(await source.get()).toBe('one');
    source.asked[1]?.resolve('two');
    await Promise.resolve();
    source.now = 200;
    const late = source.get();
    source.asked[2]?.resolve('three');
    expect(await late).toBe('three');
  });

  it('does not hold any more once it is forgotten, nor does an answer that was on its way', async () => {
    const source = new Source();
    const before = source.get();
    source.cached.forget();
    const after = source.get();
    source.asked[0]?.resolve('old');
    source.asked[1]?.resolve('new');
    expect(await before).toBe('old');
    expect(await after).toBe('new');
    expect(await source.get()).toBe('new');
  });

  it('cannot be told: whoever waits hears of it, and the next one asks again', async () => {
    const source = new Source();
    const failing = source.get();
    source.asked[0]?.reject(new Error('it is gone'));
    await expect(failing).rejects.toThrow('it is gone');
    const again = source.get();
    source.asked[1]?.resolve('back');
    expect(await again).toBe('back');
  });
});

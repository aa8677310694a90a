import { describe, expect, it } from 'vitest';
import { Cached } from './cached.ts';

const AGES = { fresh: 10, stale: 100, patience: 5 };

/** Answers are given out, and time passes, as the test says. */
class Source {
  now = 0;
  readonly asked: PromiseWithResolvers<string>[] = [];
  readonly waits: PromiseWithResolvers<void>[] = [];
  readonly cached = new Cached(() => later(this.asked), AGES, {
    now: () => this.now,
    wait: () => later(this.waits),
  });

  /** Knows `answer` from now on. */
  async learn(answer: string): Promise<void> {
    const learnt = this.cached.get();
    this.asked.at(-1)?.resolve(answer);
    await learnt;
  }
}

function later<T>(list: PromiseWithResolvers<T>[]): Promise<T> {
  const one = Promise.withResolvers<T>();
  list.push(one);
  return one.promise;
}

describe('what is known of another', () => {
  it('is asked for once by many, and stands while it is fresh', async () => {
    const source = new Source();
    const both = Promise.all([source.cached.get(), source.cached.get()]);
    source.asked[0]?.resolve('one');
    expect(await both).toEqual(['one', 'one']);
    source.now = 10;
    expect(await source.cached.get()).toBe('one');
    expect(source.asked).toHaveLength(1);
  });

  it('is asked for again when it is older', async () => {
    const source = new Source();
    await source.learn('one');
    source.now = 50;
    const again = source.cached.get();
    source.asked[1]?.resolve('two');
    expect(await again).toBe('two');
  });

  it('stands in for an answer that does not come at once, once', async () => {
    const source = new Source();
    await source.learn('one');
    source.now = 50;
    const [again, another] = [source.cached.get(), source.cached.get()];
    source.waits.at(-1)?.resolve();
    expect(await Promise.all([again, another])).toEqual(['one', 'one']);
    expect(source.asked).toHaveLength(2);
    source.asked[1]?.resolve('two');
    await source.asked[1]?.promise;
    expect(await source.cached.get()).toBe('two');
  });

  it('does not stand in when it is too old', async () => {
    const source = new Source();
    await source.learn('one');
    source.now = 101;
    const late = source.cached.get();
    source.waits.at(-1)?.resolve();
    source.asked[1]?.resolve('two');
    expect(await late).toBe('two');
  });

  it('is asked for again once it has expired, and stands in all the same', async () => {
    const source = new Source();
    await source.learn('one');
    source.cached.expire();
    const again = source.cached.get();
    source.waits.at(-1)?.resolve();
    expect(await again).toBe('one');
    source.asked[1]?.resolve('two');
    await source.asked[1]?.promise;
    expect(await source.cached.get()).toBe('two');
    expect(source.asked).toHaveLength(2);
  });

  it('does not hold any more once it is forgotten, nor does an answer that was on its way', async () => {
    const source = new Source();
    const before = source.cached.get();
    source.cached.forget();
    const after = source.cached.get();
    source.asked[0]?.resolve('old');
    source.asked[1]?.resolve('new');
    expect(await before).toBe('old');
    expect(await after).toBe('new');
    expect(await source.cached.get()).toBe('new');
  });

  it('cannot be told: whoever waits hears of it, and the next one asks again', async () => {
    const source = new Source();
    const failing = source.cached.get();
    source.asked[0]?.reject(new Error('it is gone'));
    await expect(failing).rejects.toThrow('it is gone');
    await source.learn('back');
    source.now = 50;
    const again = source.cached.get();
    source.asked.at(-1)?.reject(new Error('it is gone'));
    expect(await again).toBe('back');
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Answer } from '../api/index.ts';
import { Call, type Excess } from './call.ts';

let excess: Excess;
let late: string[];
beforeEach(() => {
  vi.useFakeTimers();
  excess = { unasked: 0, cut: 0 };
  late = [];
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const callFor = (...subjects: string[]): Call =>
  new Call(subjects, { fileMs: 100, batchMs: 250 }, excess, (reason) => late.push(reason));

const found = (subject: string, count: number): Extract<Answer, { detections: unknown }> => ({
  subject,
  detections: Array.from({ length: count }, (_, index) => ({ judgement: 'suspicious', name: `n${index}` })),
});

async function all(call: Call): Promise<Answer[]> {
  const answers: Answer[] = [];
  for await (const answer of call.answers()) answers.push(answer);
  return answers;
}

describe('answers', () => {
  it('are given as they come, until the call ends', async () => {
    const call = callFor('a', 'b');
    const answers = all(call);
    expect(call.take(found('b', 1))).toBe(true);
    expect(call.take({ subject: 'a', unscanned: 'engine-limit' })).toBe(true);
    call.end();
    expect(await answers).toEqual([found('b', 1), { subject: 'a', unscanned: 'engine-limit' }]);
  });

  it('for others, or a second time, are refused', async () => {
    const call = callFor('a');
    expect(call.take(found('stranger', 1))).toBe(false);
    expect(call.take(found('a', 0))).toBe(true);
    expect(call.take(found('a', 1))).toBe(false);
    call.end();
    expect(await all(call)).toEqual([found('a', 0)]);
  });

  it('that came before it failed are given, then the error is thrown', async () => {
    const call = callFor('a', 'b');
    call.take(found('a', 0));
    call.end(new Error('torn'));
    const answers = call.answers();
    expect((await answers.next()).value).toEqual(found('a', 0));
    await expect(answers.next()).rejects.toThrow('torn');
  });

  it('are cut to what is bearable: one detection of each stays, starts go first', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `s${index}`);
    const call = callFor(...names);
    for (const name of names) {
      const starts = [{ path: '/x', technique: 'T1053.003' }];
      call.take({ ...found(name, 100), starts });
    }
    call.end();
    const answers = (await all(call)).map((answer) => ('detections' in answer ? answer : undefined));
    expect(answers[0]?.detections).toHaveLength(64);
    expect(answers[0]?.starts).toHaveLength(1);
    expect(answers.at(-1)).toMatchObject({ detections: [{ name: 'n0' }], starts: [] });
    const kept = answers.flatMap((answer) => [...(answer?.detections ?? []), ...(answer?.starts ?? [])]);
    expect(kept.length + excess.cut).toBe(30 * 101);
    expect(kept.length).toBeLessThan(1_000 + 30);
  });
});

describe('the time of a call', () => {
  it('is that of one file, from answer to answer', () => {
    const call = callFor('a', 'b', 'c');
    vi.advanceTimersByTime(90);
    call.take(found('a', 0));
    vi.advanceTimersByTime(90);
    expect(late).toEqual([]);
    vi.advanceTimersByTime(20);
    expect(late).toEqual(['it did not answer within 100 ms']);
    call.end();
  });

  it('is that of all of them together', () => {
    const call = callFor('a', 'b', 'c', 'd');
    for (const subject of ['a', 'b', 'c']) {
      vi.advanceTimersByTime(80);
      call.take(found(subject, 0));
    }
    vi.advanceTimersByTime(20);
    expect(late).toEqual(['it did not answer within 250 ms']);
    call.end();
  });

  it('does not run while the host is slow to take answers', async () => {
    const call = callFor('a');
    call.take(found('a', 0));
    call.end();
    vi.advanceTimersByTime(1_000);
    expect(late).toEqual([]);
    expect(await all(call)).toHaveLength(1);
  });

  it('runs on when it is cancelled: whoever waits is free, the plugin still has to end', async () => {
    const call = callFor('a', 'b');
    call.cancel();
    expect(await all(call)).toEqual([]);
    vi.advanceTimersByTime(60);
    expect(call.take(found('a', 1))).toBe(true);
    call.cancel();
    vi.advanceTimersByTime(50);
    expect(late).toEqual(['it did not answer within 100 ms']);
    call.end();
    expect(await all(call)).toEqual([]);
  });
});

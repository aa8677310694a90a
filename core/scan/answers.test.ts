import { describe, expect, it } from 'vitest';
import type { Answer } from '../api/index.ts';
import { HeldAnswers, SharedAnswers } from './answers.ts';

const clean: Answer = { subject: '1', detections: [] };
const found: Answer = { subject: '1', detections: [{ judgement: 'malicious', name: 'Evil' }] };
const starts: Answer = { ...clean, starts: [{ path: '/x', technique: 'T1053.003' }] };
const failed: Answer = { subject: '1', unscanned: 'deadline' };
const content = (sha256: string) => ({ size: 1, head: new Uint8Array(), digests: { sha256 } });

describe('an answer that is shared', () => {
  it('is the same for all while it is under way', async () => {
    const shared = new SharedAnswers();
    const { promise, resolve } = Promise.withResolvers<Answer>();
    shared.share('key', promise);
    expect(shared.find('key')).toBe(promise);
    expect(shared.find('another')).toBeUndefined();
    resolve(clean);
    await promise;
  });

  it.each([
    ['was clean, as it is kept', clean, false],
    ['found something', found, true],
    ['starts something', starts, true],
    ['did not finish', failed, false],
  ])('is shared after that when it %s', async (_, answer, isHeld) => {
    const shared = new SharedAnswers();
    const given = Promise.resolve(answer);
    shared.share('key', given);
    await given;
    expect(shared.find('key') !== undefined).toBe(isHeld);
  });
});

describe('answers that are shared and not clean', () => {
  const large = (path: string): Answer => ({
    subject: '1',
    detections: [],
    starts: Array.from({ length: 500 }, (_, at) => ({
      path: path.padEnd(400, String(at)),
      technique: 'T1543.002',
    })),
  });

  it('are bounded by their size, the oldest go first', async () => {
    const shared = new SharedAnswers();
    for (let number = 0; number < 100; number++) {
      const given = Promise.resolve(large(`/${number}`));
      shared.share(String(number), given);
      await given;
    }
    const held = Array.from({ length: 100 }, (_, number) => shared.find(String(number)) !== undefined);
    // 500 starts of 600 characters each: six of them have room.
    expect(held.lastIndexOf(false)).toBe(93);
    expect(held.slice(94).every(Boolean)).toBe(true);
  });
});

describe('clean answers in memory', () => {
  it('are added up for a content, and told to whom they are kept for', () => {
    const kept = new HeldAnswers();
    const own = new HeldAnswers(kept);
    own.keep(content('a'), ['1']);
    own.keep(content('a'), ['2']);
    for (const answers of [own, kept]) {
      expect(answers.find().get('a')?.answers).toEqual(new Set(['1', '2']));
    }
    kept.keep(content('b'), ['1']);
    expect(own.find().has('b')).toBe(false);
  });

  it('are bounded for one content, which can have an answer for each of its names', () => {
    const own = new HeldAnswers();
    for (let number = 0; number < 1_000; number++) own.keep(content('a'), [String(number)]);
    const { answers } = own.find().get('a') ?? { answers: new Set() };
    expect(answers.size).toBe(32);
    expect(answers.has('999')).toBe(true);
  });

  it('are forgotten when there are too many, the oldest first', () => {
    const own = new HeldAnswers();
    for (let number = 0; number <= 10_000; number++) own.keep(content(String(number)), ['1']);
    expect(own.find().has('0')).toBe(false);
    expect(own.find().has('1')).toBe(true);
    expect(own.find().size).toBe(10_000);
  });
});

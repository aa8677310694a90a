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

  it('are forgotten when there are too many, the oldest first', () => {
    const own = new HeldAnswers();
    for (let number = 0; number <= 50_000; number++) own.keep(content(String(number)), ['1']);
    expect(own.find().has('0')).toBe(false);
    expect(own.find().has('1')).toBe(true);
    expect(own.find().size).toBe(50_000);
  });
});

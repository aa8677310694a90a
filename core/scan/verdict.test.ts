import { describe, expect, it } from 'vitest';
import type { Answer, Judgement } from '../api/index.ts';
import { judge } from './verdict.ts';

const found = (detector: string, judgement: Judgement) => ({
  detector,
  answer: { subject: 's', detections: [{ judgement, name: 'Eicar' }] } satisfies Answer,
});
const nothing = (detector: string) => ({
  detector,
  answer: { subject: 's', detections: [] } satisfies Answer,
});
const failed = (detector: string) => ({
  detector,
  answer: { subject: 's', unscanned: 'deadline' } satisfies Answer,
});

describe('judge', () => {
  it('is clean only when all finished and none found anything', () => {
    expect(judge([nothing('a'), nothing('b')]).state).toBe('clean');
    expect(judge([nothing('a'), failed('b')])).toEqual({
      state: 'unscanned',
      unfinished: { reason: 'deadline', detail: 'b' },
    });
  });

  it('keeps every detection, and says when somebody did not finish', () => {
    expect(judge([failed('a'), found('b', 'suspicious'), found('c', 'malicious')])).toEqual({
      state: 'malicious',
      detections: [
        { judgement: 'suspicious', name: 'Eicar', detector: 'b' },
        { judgement: 'malicious', name: 'Eicar', detector: 'c' },
      ],
      unfinished: { reason: 'deadline', detail: 'a' },
    });
  });

  it('keeps so many detections of one subject, the worst of them first, and says how many more there are', () => {
    const many = (count: number, judgement: Judgement) =>
      Array.from({ length: count }, (_, at) => ({ judgement, name: `Rule_${judgement}_${at}` }));
    const answer = { subject: 's', detections: [...many(1_000, 'suspicious'), ...many(10, 'malicious')] };
    const verdict = judge([{ detector: 'yara', answer }]);
    if (verdict.state !== 'malicious') throw new Error(verdict.state);
    expect(verdict.detections).toHaveLength(64);
    expect(verdict.detections.filter(({ judgement }) => judgement === 'malicious')).toHaveLength(10);
    expect(verdict.detections.at(-1)).toMatchObject({ judgement: 'suspicious', name: 'and 947 more' });
    const worst = judge([
      { detector: 'yara', answer: { subject: 's', detections: many(1_000, 'malicious') } },
    ]);
    expect(worst).toMatchObject({ state: 'malicious' });
    // One that floods takes nothing from the others.
    const other = { detector: 'hashset', answer: { subject: 's', detections: many(1, 'malicious') } };
    const both = judge([
      { detector: 'yara', answer: { subject: 's', detections: many(1_000, 'malicious') } },
      other,
    ]);
    expect(
      'detections' in both && both.detections.filter(({ detector }) => detector === 'hashset'),
    ).toHaveLength(1);
  });

  it('is suspicious when nobody says worse', () => {
    expect(judge([nothing('a'), found('b', 'suspicious')]).state).toBe('suspicious');
  });
});

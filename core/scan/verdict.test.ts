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

  it('is suspicious when nobody says worse', () => {
    expect(judge([nothing('a'), found('b', 'suspicious')]).state).toBe('suspicious');
  });
});

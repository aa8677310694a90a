import { describe, expect, it } from 'vitest';
import { fromChild, MAX_LINE, understand } from './messages.ts';

const answer = (said: object) => fromChild.safeParse({ type: 'answer', call: 1, answer: said });

describe('what a child says', () => {
  it('passes whole', () => {
    const said = {
      subject: 'a',
      detections: [
        { judgement: 'malicious', name: 'X', source: 's', description: 'd', attack: ['T1027', 'T1027.002'] },
      ],
      starts: [{ path: '/tmp/x', technique: 'T1053.003', line: 3, shared: true }],
    };
    expect(answer(said).data).toEqual({ type: 'answer', call: 1, answer: said });
    const unscanned = { subject: 'a', unscanned: 'engine-limit', detail: 'too deep' };
    expect(answer(unscanned).data).toMatchObject({ answer: unscanned });
  });

  it('loses what nobody knows', () => {
    const said = {
      subject: 'a',
      detections: [{ judgement: 'suspicious', name: 'X', act: 'delete' }],
      more: 1,
    };
    expect(answer(said).data).toEqual({
      type: 'answer',
      call: 1,
      answer: { subject: 'a', detections: [{ judgement: 'suspicious', name: 'X' }] },
    });
  });

  it.each([
    ['no answer', {}],
    ['another judgement', { subject: 'a', detections: [{ judgement: 'clean', name: 'X' }] }],
    ['a name without end', { subject: 'a', detections: [{ judgement: 'malicious', name: 'x'.repeat(201) }] }],
    ['no name', { subject: 'a', detections: [{ judgement: 'malicious', name: '' }] }],
    [
      'a technique that is none',
      { subject: 'a', detections: [{ judgement: 'malicious', name: 'X', attack: ['1'] }] },
    ],
    ['another reason', { subject: 'a', unscanned: 'fine' }],
    ['a start of nothing', { subject: 'a', detections: [], starts: [{ path: '', technique: 'T1053' }] }],
    [
      'a start at line 0',
      { subject: 'a', detections: [], starts: [{ path: '/x', technique: 'T1053', line: 0 }] },
    ],
    [
      'starts without end',
      { subject: 'a', detections: [], starts: [{ path: 'x'.repeat(20_000), technique: 'T1053' }] },
    ],
  ])('is refused with %s', (_, said) => {
    expect(answer(said).success).toBe(false);
  });

  it.each([
    null,
    7,
    { type: 'obey' },
    { type: 'done' },
    { type: 'done', call: 0.5 },
    { type: 'ready', engine: {}, problems: [], concurrency: 1 },
    { type: 'failed', message: 'x'.repeat(1_001) },
  ])('is refused when it is no message: %j', (said) => {
    expect(fromChild.safeParse(said).success).toBe(false);
  });
});

it('what is wrong with a line is said to whoever wrote it', () => {
  const complaint = (said: unknown) => understand(JSON.stringify(said));
  expect(complaint({ type: 'done', call: 1 })).toEqual({ message: { type: 'done', call: 1 } });
  const named = { subject: 'a', detections: [{ judgement: 'malicious', name: 7 }] };
  expect(complaint({ type: 'answer', call: 1, answer: named })).toEqual({
    complaint: 'answer.detections.0.name: Invalid input: expected string, received number',
  });
  expect(complaint({ type: 'obey' })).toMatchObject({ complaint: expect.stringContaining('type: ') });
  expect(understand('hello')).toEqual({ complaint: 'no JSON' });
  expect(understand(`"${'x'.repeat(MAX_LINE)}"`)).toMatchObject({
    complaint: expect.stringContaining('in one line'),
  });
});

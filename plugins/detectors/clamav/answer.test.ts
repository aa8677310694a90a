import { describe, expect, it } from 'vitest';
import { parseScan, parseThreads, parseVersion } from './answer.ts';

const parse = (text: string) => parseScan(text, '/spool/1');

describe('an answer to a scan', () => {
  it.each([
    ['/spool/1: OK', { told: 'ok' }],
    [
      '/spool/1: Win.Test.EICAR_HDB-1 FOUND',
      { told: 'found', name: 'Win.Test.EICAR_HDB-1', unofficial: false },
    ],
    ['/spool/1: A.UNOFFICIAL FOUND', { told: 'found', name: 'A', unofficial: true }],
    [`/spool/1: A.UNOFFICIAL(${'0'.repeat(32)}:544) FOUND`, { told: 'found', name: 'A', unofficial: true }],
    [
      '/spool/1: Heuristics.Limits.Exceeded.MaxFileSize FOUND',
      { told: 'limit', name: 'Heuristics.Limits.Exceeded.MaxFileSize' },
    ],
    ['INSTREAM size limit exceeded. ERROR', { told: 'limit', name: 'StreamMaxLength' }],
    ['/spool/1: File path check failure: Permission denied. ERROR', { told: 'no-access' }],
    ['/spool/1: lstat() failed: Permission denied. ERROR', { told: 'no-access' }],
    ["/spool/1: Can't allocate memory ERROR", { told: 'error', message: "Can't allocate memory" }],
  ])('%s', (text, expected) => {
    expect(parse(text)).toMatchObject(expected);
  });

  it.each([
    '',
    'OK',
    '/spool/2: OK',
    '/spool/1: OKAY',
    '/spool/1:OK',
    '/spool/1:  FOUND',
    '/spool/1: ok',
    'PONG',
  ])('is not %j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'nonsense' }));
  });
});

describe('an answer to VERSION', () => {
  it('has the engine, and the database where it is one of its own', () => {
    expect(parseVersion('ClamAV 1.4.6')).toEqual({ engine: '1.4.6' });
    expect(parseVersion('ClamAV 1.4.6/27820/Tue Nov 24 08:25:12 2026')).toEqual({
      engine: '1.4.6',
      database: { version: '27820', date: 'Tue Nov 24 08:25:12 2026' },
    });
  });

  it.each(['', 'ClamAV', 'ClamAV 1.4.6/x/y', 'SpamAV 1', 'ClamAV 1.4.6/1/a\nb'])('is not %j', (text) => {
    expect(() => parseVersion(text)).toThrow(expect.objectContaining({ code: 'nonsense' }));
  });
});

it('reads the number of threads from STATS', () => {
  expect(parseThreads('POOLS: 1\n\nTHREADS: live 1  idle 0 max 12 idle-timeout 30\nEND')).toBe(12);
  for (const text of ['', 'THREADS: live 1', 'THREADS: max 0']) {
    expect(() => parseThreads(text)).toThrow(expect.objectContaining({ code: 'nonsense' }));
  }
});

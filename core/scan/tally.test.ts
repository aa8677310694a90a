import { describe, expect, it } from 'vitest';
import { Tally } from './tally.ts';

const found = (state: 'malicious' | 'suspicious') => ({ state, detections: [] });
const unscanned = { state: 'unscanned', unfinished: { reason: 'grew' } } as const;

describe('a tally', () => {
  it('counts files, processes and verdicts apart', () => {
    const tally = new Tally();
    tally.listed(3, 30);
    tally.fileDone('/a', 10, { state: 'clean' });
    tally.fileDone('/b', 10, found('malicious'));
    tally.fileDone('/c', 10, unscanned);
    tally.processDone('process 1', found('suspicious'));
    tally.missed('/d', { reason: 'unreadable', detail: 'EACCES' });
    expect(tally.summary()).toEqual({
      files: 3,
      bytes: 30,
      unchanged: 0,
      claimed: 0,
      processes: 1,
      malicious: 1,
      suspicious: 1,
      unscanned: { grew: 1, unreadable: 1 },
    });
    expect(tally.unscanned).toEqual([
      { path: '/c', reason: 'grew' },
      { path: '/d', reason: 'unreadable', detail: 'EACCES' },
    ]);
    expect(tally.snapshot('acting')).toEqual({
      phase: 'acting',
      filesListed: 3,
      bytesListed: 30,
      filesDone: 3,
      bytesDone: 30,
      listingComplete: false,
      found: 2,
      unscanned: 2,
    });
  });

  it('counts what is known as done, and says whose word that is', () => {
    const tally = new Tally();
    tally.lineKnown({ files: 2, bytes: 20 }, false);
    tally.lineKnown({ files: 1, bytes: 10 }, true);
    tally.listed(2, 20);
    tally.fileKnown(10, true);
    tally.fileKnown(10, false);
    expect(tally.summary()).toMatchObject({ files: 5, bytes: 50, unchanged: 3, claimed: 2 });
    tally.listingEnded();
    expect(tally.isListed).toBe(true);
    tally.missed('/d', { reason: 'unreadable' });
    tally.restart();
    expect(tally.isListed).toBe(false);
    expect(tally.summary()).toMatchObject({ files: 0, bytes: 0, unchanged: 0, claimed: 0, unscanned: {} });
    expect(tally.unscanned).toEqual([]);
  });

  it('counts what was found and not finished as both', () => {
    const tally = new Tally();
    tally.fileDone('/a', 1, { ...found('malicious'), unfinished: { reason: 'deadline' } });
    expect(tally.summary()).toMatchObject({ malicious: 1, unscanned: { deadline: 1 } });
  });

  it('names the first thousand and counts all', () => {
    const tally = new Tally();
    for (let number = 0; number < 1500; number++) tally.missed(`/${number}`, { reason: 'vanished' });
    expect(tally.unscanned).toHaveLength(1000);
    expect(tally.summary().unscanned).toEqual({ vanished: 1500 });
  });

  it('tells of each file system that is left out once, and of a thousand at most', () => {
    const tally = new Tally();
    for (const _ of [1, 2]) tally.passedBy({ path: '/nas', type: 'nfs4' });
    expect(tally.leftOut).toEqual([{ path: '/nas', type: 'nfs4' }]);
    expect(tally.summary().unscanned).toEqual({});
    for (let number = 0; number < 1500; number++) tally.passedBy({ path: `/${number}`, type: 'fuse' });
    expect(tally.leftOut).toHaveLength(1000);
    tally.restart();
    expect(tally.leftOut).toEqual([]);
  });
});

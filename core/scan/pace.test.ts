import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RECORD } from '../../protocol/index.ts';
import { EARNED, earnedByClaim, earnedByLine, earnedByRecords, Pace } from './pace.ts';

/** A clock that stands still until it is told. */
class Clock {
  now = 0;
  readonly read = (): number => this.now;
}

/** Waits for so long for something that earns so much. */
async function wait(pace: Pace, clock: Clock, milliseconds: number, earned = 0): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const waited = pace.waiting(promise);
  clock.now += milliseconds;
  resolve();
  await waited;
  pace.earn(earned);
}

const paced = () => {
  const clock = new Clock();
  return { clock, pace: new Pace(clock.read) };
};

const MINUTE = 60_000;

describe('a guest that is waited for', () => {
  it('is too slow when it has used up what it has earned', async () => {
    const { clock, pace } = paced();
    await wait(pace, clock, EARNED.atFirst);
    expect(() => pace.check()).not.toThrow();
    await wait(pace, clock, 1);
    expect(() => pace.check()).toThrow(expect.objectContaining({ code: 'too-slow' }));
  });

  it('that drips a line each five seconds is too slow in the end', async () => {
    const { clock, pace } = paced();
    const line = { type: 'directory' as const, path: '/', dev: '1', digest: '', files: [] };
    const drip = async () => {
      for (;;) {
        await wait(pace, clock, 5_000, earnedByLine(line) + EARNED.file);
        pace.check();
      }
    };
    await expect(drip()).rejects.toMatchObject({ code: 'too-slow' });
    expect(clock.now).toBeLessThan(11 * MINUTE);
  });

  it('is not waited for while detectors work, or when nothing is asked of it', async () => {
    const { clock, pace } = paced();
    const work = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const both = [pace.waiting(answer.promise), pace.working(work.promise)];
    clock.now += 60 * MINUTE;
    work.resolve();
    await both[1];
    clock.now += 100;
    answer.resolve();
    await both[0];
    clock.now += 60 * MINUTE;
    expect(pace.waitedMs).toBe(100);
  });

  it('counts once, however many answers are waited for at a time', async () => {
    const { clock, pace } = paced();
    const answer = Promise.withResolvers<void>();
    const all = Array.from({ length: 5 }, () => pace.waiting(answer.promise));
    clock.now += 1_000;
    expect(pace.waitedMs).toBe(1_000);
    answer.resolve();
    await Promise.all(all);
    expect(pace.waitedMs).toBe(1_000);
  });

  it('that fails is not waited for any more', async () => {
    const { clock, pace } = paced();
    await expect(pace.waiting(Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    clock.now += 1_000;
    expect(pace.waitedMs).toBe(0);
  });
});

describe('the least that a budget allows', () => {
  const MIB = 2 ** 20;
  /** Measured of an agent with a whole core, in milliseconds: a listed file, a directory, a content, a MiB of it. */
  const CORE = { file: 0.01, line: 0.05, content: 0.2, mebibyte: 4 };

  it.each([
    [
      '1 % of a core',
      { file: 100 * CORE.file, line: 100 * CORE.line, content: 100 * CORE.content, mebibyte: 400 },
    ],
    ['1 MiB/s', { ...CORE, mebibyte: 1_000 }],
  ])('is never too slow: %s', async (_, takes) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ files: fc.nat(512), bytes: fc.nat(256 * MIB) }), { maxLength: 50 }),
        async (lines) => {
          const { clock, pace } = paced();
          for (const { files, bytes } of lines) {
            await wait(pace, clock, takes.line + files * takes.file, EARNED.line + files * EARNED.file);
            const claim = { index: 0, sha256: '', facts: { ...FACTS, size: bytes } };
            // Read twice: to say what it hashes to, and to send it.
            await wait(
              pace,
              clock,
              takes.content + (bytes / MIB) * takes.mebibyte,
              earnedByClaim(claim, 2 ** 40),
            );
            pace.check();
            await wait(
              pace,
              clock,
              takes.content + (bytes / MIB) * takes.mebibyte,
              earnedByRecords(recordsOf(bytes)),
            );
            pace.check();
          }
        },
      ),
    );
  });
});

describe('what a guest says of a file', () => {
  it('earns it no more than the largest file would', () => {
    const claim = { index: 0, sha256: '', facts: { ...FACTS, size: Number.MAX_SAFE_INTEGER } };
    expect(earnedByClaim(claim, 2 ** 20)).toBe(EARNED.content + EARNED.mebibyte);
    expect(earnedByClaim({ index: 0, failure: { reason: 'vanished' } }, 2 ** 20)).toBe(EARNED.content);
  });
});

describe('a guest that lets this host wait more than work', () => {
  it('is slow until it gives more', async () => {
    const { clock, pace } = paced();
    await wait(pace, clock, 900, 100);
    clock.now += 100;
    expect(pace.isSlowSinceLastLook()).toBe(true);
    await wait(pace, clock, 900, 10_000);
    expect(pace.isSlowSinceLastLook()).toBe(false);
    clock.now += 1_000;
    expect(pace.isSlowSinceLastLook()).toBe(false);
  });

  it('gives way when it is told to, at the next thing that it says', () => {
    const { pace } = paced();
    expect(pace.slowness).toBeUndefined();
    pace.giveWay();
    expect(() => pace.check()).toThrow(expect.objectContaining({ code: 'too-slow' }));
  });
});

const FACTS = {
  ...{ dev: '1', ino: '2', size: 0, mtime: '0.000000000', ctime: '0.000000000' },
  ...{ mode: 0o100644, uid: 0, gid: 0, links: 1 },
};

const payloadOf = (length: number) => ({ length }) as Buffer;
const recordsOf = (bytes: number) => [
  { kind: RECORD.open, index: 0, payload: payloadOf(100) },
  { kind: RECORD.data, index: 0, payload: payloadOf(bytes) },
  { kind: RECORD.end, index: 0, payload: payloadOf(0) },
];

import { describe, expect, it } from 'vitest';
import { progress } from '../../test/records.ts';
import { formatBytes, formatDuration } from './format.ts';
import { ProgressBar, renderProgress, renderRound } from './progress.ts';

it('tells files, bytes, rate and time left', () => {
  expect(renderProgress('web-1', progress(), 2000, 200)).toBe(
    'web-1  [#####...............] 25 %  500 of 2,000 files  100.0 MiB of 400.0 MiB  50.0 MiB/s  6.0 s left  1 found',
  );
});

it('promises no end while files are still being listed', () => {
  const line = renderProgress('web-1', { ...progress(), listingComplete: false }, 2000, 200);
  expect(line).toContain('listing');
  expect(line).not.toMatch(/%|left/);
});

it('fits the terminal and survives odd counts', () => {
  expect(renderProgress('web-1', progress(), 2000, 50)).toBe('web-1  [#####...............] 25 %');
  const empty = { ...progress(), filesListed: 0, bytesListed: 0, filesDone: 0, bytesDone: 0 };
  expect(renderProgress('web-1', empty, 0, 200)).toContain('0 %');
  expect(renderProgress('web-1', { ...progress(), bytesDone: 2 ** 40 }, 1, 200)).toContain('100 %');
});

it('repaints a terminal at most ten times a second, and leaves nothing behind', () => {
  let now = 0;
  const written: string[] = [];
  const output = { write: (text: string) => written.push(text), isTTY: true, columns: 80 };
  const bar = new ProgressBar(output, () => now);
  const tracked = bar.begin('web-1');
  for (; now < 1000; now += 10) tracked.update(progress());
  expect(written).toHaveLength(10);
  bar.clear();
  bar.clear();
  expect(written.slice(10)).toEqual(['\r\x1b[K']);
});

it('writes nothing where there is no terminal', () => {
  const written: string[] = [];
  const bar = new ProgressBar({ write: (text) => written.push(text), isTTY: false, columns: 80 });
  bar.begin('web-1').update(progress());
  bar.clear();
  expect(written).toEqual([]);
});

describe('several guests', () => {
  it('have one line: totals, and those under way by name', () => {
    const round = {
      ...{ guests: 12, finished: 3, filesDone: 1234, bytesDone: 2 ** 30, found: 2, unscanned: 0 },
      underWay: [
        { vm: 'web-1', progress: progress() },
        { vm: 'web-2', progress: { ...progress(), listingComplete: false } },
        { vm: 'db\x1b[2J', progress: { ...progress(), phase: 'connecting' as const } },
      ],
    };
    const line = renderRound(round, 10_000, 200);
    expect(line).toBe(
      '3 of 12 guests  1,234 files  1.0 GiB  102.4 MiB/s  2 found  web-1 25 %  web-2 listing  db\\x1b[2J connecting',
    );
    expect(renderRound(round, 10_000, 60)).toBe('3 of 12 guests  1,234 files  1.0 GiB  102.4 MiB/s  2 found');
  });

  it('are counted when they begin and when they end, with what was done in them', () => {
    let now = 0;
    const written: string[] = [];
    const output = { write: (text: string) => written.push(text), isTTY: true, columns: 200 };
    const bar = new ProgressBar(output, () => now);
    const [first, second] = ['web-1', 'web-2', 'web-3'].map((name) => bar.begin(name));
    const lineAfter = (work: () => void) => {
      now += 1000;
      work();
      return written.at(-1);
    };
    expect(lineAfter(() => first?.update(progress()))).toMatch(/0 of 3 guests {2}500 files.* {2}web-1 25 %$/);
    first?.end();
    expect(lineAfter(() => second?.update({ ...progress(), filesDone: 7 }))).toMatch(
      /1 of 3 guests {2}507 files.* {2}web-2 25 %$/,
    );
    second?.end();
    expect(written).toHaveLength(2);
  });
});

it('writes quantities as people read them', () => {
  expect([0, 1023, 1024, 1536 * 1024, 1023.99 * 1024].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 MiB',
    '1.0 MiB',
  ]);
  expect([-5, 90, 9960, 59_900, 200_000, 7_500_000].map(formatDuration)).toEqual([
    '0.0 s',
    '0.1 s',
    '10 s',
    '1 min 0 s',
    '3 min 20 s',
    '2 h 5 min',
  ]);
});

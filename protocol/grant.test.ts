import { describe, expect, it } from 'vitest';
import { Grant } from './messages.ts';

const MiB = 1024 * 1024;
const grant = (budget?: unknown) => ({
  id: 'x',
  instructions: ['query:files'],
  ...(budget !== undefined && { budget }),
});

describe('a grant', () => {
  it.each([
    [{ cpuPercent: 1 }],
    [{ cpuPercent: 12.5, readBytesPerSecond: MiB }],
    [{ readBytesPerSecond: 2 ** 40 }],
    [{}],
    [undefined],
  ])('may have the budget %j', (budget) => {
    expect(Grant.parse(grant(budget))).toEqual(grant(budget));
  });

  it.each([
    [{ cpuPercent: 0 }],
    [{ cpuPercent: 101 }],
    [{ cpuPercent: Number.NaN }],
    [{ cpuPercent: '10' }],
    [{ readBytesPerSecond: 0 }],
    [{ readBytesPerSecond: MiB - 1 }],
    [{ readBytesPerSecond: 2 * MiB + 0.5 }],
    [{ readBytesPerSecond: 1e300 }],
    [{ readBytesPerSecond: Number.POSITIVE_INFINITY }],
    [null],
    [10],
  ])('may not have the budget %j', (budget) => {
    expect(Grant.safeParse(grant(budget)).success).toBe(false);
  });
});

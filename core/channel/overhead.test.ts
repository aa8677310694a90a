import { describe, expect, it } from 'vitest';
import { ALLOWANCE } from '../../protocol/index.ts';
import { OverheadAccount } from './overhead.ts';

const BURST = ALLOWANCE.overheadBurst;

describe('the allowance for overhead', () => {
  it('lets a burst pass and not a byte more', () => {
    expect(new OverheadAccount(0).settle(BURST, 0, 0)).toBe(true);
    expect(new OverheadAccount(0).settle(BURST + 1, 0, 0)).toBe(false);
  });

  it('grows with time, up to a burst', () => {
    const account = new OverheadAccount(0);
    expect(account.settle(BURST, 0, 0)).toBe(true);
    expect(account.settle(BURST + ALLOWANCE.overheadPerSecond, 0, 1000)).toBe(true);
    expect(account.settle(BURST + ALLOWANCE.overheadPerSecond + 1, 0, 1000)).toBe(false);
    const rested = new OverheadAccount(0);
    expect(rested.settle(0, 0, 1e9)).toBe(true);
    expect(rested.settle(BURST + 1, 0, 1e9)).toBe(false);
  });

  it('grows with payload, which cannot be saved up for a flood', () => {
    const account = new OverheadAccount(0);
    const GiB = 2 ** 30;
    expect(account.settle(GiB * 1.01, GiB, 0)).toBe(true);
    expect(account.settle(GiB * 1.01 + BURST + 1, GiB, 0)).toBe(false);
  });

  it('forgives what comes of cancelled requests, once', () => {
    const account = new OverheadAccount(0);
    account.forgive(1000);
    expect(account.settle(BURST + 1000, 0, 0)).toBe(true);
    expect(account.settle(BURST + 1001, 0, 0)).toBe(false);
  });
});

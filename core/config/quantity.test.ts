import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check } from './load.ts';
import { bytes, duration } from './quantity.ts';

const LONGEST = 2 ** 31 - 1;

describe('a time', () => {
  it.each([
    ['1ms', 1],
    ['30s', 30_000],
    ['596h', 2_145_600_000],
    ['999999999ms', 999_999_999],
    ['0s', undefined],
    ['597h', undefined],
    ['999999999h', undefined],
    ['-5s', undefined],
    ['1.5s', undefined],
    ['1e308s', undefined],
    [5, undefined],
    [Number.POSITIVE_INFINITY, undefined],
  ])('of %s is %s', (text, milliseconds) => {
    const { success, data } = duration().safeParse(text);
    expect(success ? data : undefined).toBe(milliseconds);
  });

  it('is never one that a timer would not hold', () => {
    fc.assert(
      fc.property(fc.nat(999_999_999), fc.constantFrom('ms', 's', 'min', 'h'), (amount, unit) => {
        const { success, data = 0 } = duration().safeParse(`${amount}${unit}`);
        expect(!success || (Number.isSafeInteger(data) && data >= 1 && data <= LONGEST)).toBe(true);
      }),
    );
  });

  it('says what it may be', () => {
    const said = (schema: ReturnType<typeof duration>) => schema.safeParse('0s').error?.issues[0]?.message;
    expect(said(duration())).toBe('a time such as 500ms, 30s, 5min or 2h, more than 0, at most 596h');
    expect(said(duration({ least: 60_000, most: 7_776_000_000 }))).toMatch(/, from 1min to 2160h$/);
  });
});

it('a size is never more than a number holds', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 15n - 1n }),
      fc.constantFrom('', 'KiB', 'TiB'),
      (amount, unit) => {
        const { success, data = 0 } = bytes().safeParse(`${amount}${unit}`);
        expect(!success || (Number.isSafeInteger(data) && data > 0)).toBe(true);
      },
    ),
  );
});

it.each([
  'policy: {deadlines: {command: 1000h}}',
  'policy: {inventory: {maxTime: 999999999h}}',
  'policy: {knownContent: {auditShare: .inf}}',
  'policy: {knownContent: {auditShare: .nan}}',
  'schedule: {jitter: 1000h}',
  'enrolment: {tokenLifetime: 10s}',
  'enrolment: {tokenLifetime: 2161h}',
  'api: {limits: {connections: 1e308}}',
  'api: {limits: {connections: 1.5}}',
  'api: {limits: {requestsPerSecond: -1}}',
  'events: {file: {path: /x, keep: 9007199254740991}}',
  'scan: {guestsAtOnce: 1e308}',
  'spool: {bytes: 1e308}',
  'spool: {bytes: .inf}',
])('%s is refused', async (text) => {
  await expect(check([{ file: 'x.yaml', text }])).rejects.toMatchObject({ code: 'invalid' });
});

it('a token may be good for 90 days', async () => {
  const text = 'enrolment: {tokenLifetime: 2160h}';
  expect((await check([{ file: 'x.yaml', text }])).enrolment.tokenLifetime).toBe(7_776_000_000);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { whyForeign } from './trust.ts';

const ME = 1000;

describe('what others can change', () => {
  it.each([
    [0, 0o644, undefined],
    [ME, 0o600, undefined],
    [ME, 0o755, undefined],
    [1001, 0o600, /belongs to user 1001/],
    [0, 0o664, /chmod go-w/],
    [ME, 0o646, /chmod go-w/],
    [4_294_967_295, 0o600, /belongs to user 4294967295/],
  ])('of user %i with mode %o', (uid, mode, why) => {
    if (why === undefined) expect(whyForeign('/x', { uid, mode }, ME)).toBeUndefined();
    else expect(whyForeign('/x', { uid, mode }, ME)).toMatch(why);
  });

  it('is all but what root or this user alone can write', () => {
    fc.assert(
      fc.property(fc.nat(2000), fc.nat(0o7777), (uid, mode) => {
        const ours = (uid === 0 || uid === ME) && (mode & 0o022) === 0;
        expect(whyForeign('/x', { uid, mode }, ME) === undefined).toBe(ours);
      }),
    );
  });
});

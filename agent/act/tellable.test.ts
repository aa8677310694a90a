import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../protocol/index.ts';
import { requireTellable, tellable } from './tellable.ts';

const STATE = {
  ...{ mode: 0o644, uid: 0, gid: 0, atime: '1.000000000', mtime: '1000000000000.000000000' },
  xattrs: [],
};
const contained = (state: unknown): Outcome => ({ code: 'done', state }) as Outcome;
const CANNOT = [
  ['a time without a fraction', { ...STATE, atime: '1' }],
  ['an owner that is no number', { ...STATE, uid: Number.NaN }],
  ['too many attributes', { ...STATE, xattrs: Array(129).fill({ name: 'user.a', value: '' }) }],
  [
    'more than a message takes',
    { ...STATE, xattrs: Array(20).fill({ name: 'user.a', value: 'A'.repeat(80_000) }) },
  ],
  ['nothing', undefined],
] as const;

describe('an outcome', () => {
  it('that the host can read is told as it is', () => {
    expect(requireTellable('contain:file', contained(STATE))).toEqual(contained(STATE));
    expect(tellable('contain:file', contained(STATE))).toEqual(contained(STATE));
    expect(tellable('delete:file', { code: 'done' })).toEqual({ code: 'done' });
  });

  it.each(CANNOT)('whose state has %s keeps the file from being taken', (_name, state) => {
    expect(() => requireTellable('contain:file', contained(state))).toThrow(
      expect.objectContaining({ code: 'failed' }),
    );
  });

  it.each(CANNOT)('whose state has %s is told by its code when it is too late', (_name, state) => {
    const told = tellable('contain:file', contained(state));
    expect(told).toEqual({ code: 'interrupted', detail: expect.stringContaining('cannot be told') });
    expect(tellable('contain:file', told)).toEqual(told);
  });

  it('that failed keeps its code, however much there is to be told of it', () => {
    const told = tellable('restore:file', { code: 'occupied', detail: 'x'.repeat(2000) });
    expect(told).toEqual({ code: 'occupied', detail: expect.stringContaining('cannot be told') });
  });
});

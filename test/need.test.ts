import { afterEach, describe, expect, it, vi } from 'vitest';
import { need } from './need.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const nowhere = { program: 'no-such-program-anywhere', get: 'write it' };

describe('need', () => {
  it('is content with what is there', () => {
    expect(need({ program: 'sh', get: '' }, { file: '/etc/passwd', get: '' })).toBe(true);
    expect(need({ what: 'a thing', there: true, get: '' })).toBe(true);
  });

  it('says what is missing and how to get it', () => {
    vi.stubEnv('LAZARET_NO_SKIP', '');
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(need(nowhere, { file: '/no/such/file', get: 'make it' })).toBe(false);
    expect(written).toHaveBeenCalledWith(
      'skipped: needs no-such-program-anywhere: write it; needs /no/such/file: make it\n',
    );
  });

  it('fails where nothing may be skipped', () => {
    vi.stubEnv('LAZARET_NO_SKIP', '1');
    expect(() => need(nowhere)).toThrow('needs no-such-program-anywhere: write it');
    expect(() => need({ what: 'a thing', there: false, get: 'buy it' })).toThrow('needs a thing: buy it');
  });
});

import { describe, expect, it } from 'vitest';
import { OBSTACLES, Outcome, outcomeCodes } from '../../protocol/index.ts';
import { explain } from './obstacles.ts';

describe('what was in the way of an action', () => {
  it.each(OBSTACLES)('%s is told in words, with what the kernel said and what to do', (obstacle) => {
    const told = explain('contain:file', { code: 'failed', obstacle, detail: 'renameat2: EX (9)' });
    expect(told).toMatch(/^failed: [a-z].* \(renameat2: EX \(9\)\); [a-z]/);
    expect(told).not.toContain('--to');
  });

  it('of a restoring is told with the way around it, where the place is at fault', () => {
    for (const obstacle of ['parent-gone', 'parent-link', 'no-space', 'read-only'] as const) {
      expect(explain('restore:file', { code: 'failed', obstacle })).toContain('restore ID --to PATH');
    }
    expect(explain('restore:file', { code: 'occupied' })).toBe(
      'occupied: something stands there already; move that away first, or put the file elsewhere with lazaret quarantine restore ID --to PATH',
    );
    expect(explain('restore:file', { code: 'failed', obstacle: 'io-error' })).not.toContain('--to');
  });

  it('is the code alone where nothing more is known', () => {
    expect(explain('delete:file', { code: 'vanished' })).toBe('vanished');
    expect(explain('delete:file', { code: 'failed', detail: 'why' })).toBe('failed (why)');
    for (const code of outcomeCodes)
      expect(explain('restore:file', { code })).toMatch(new RegExp(`^${code}`));
  });

  it('that this host has no word for costs the word alone', () => {
    expect(Outcome.parse({ code: 'failed', obstacle: 'from-tomorrow' })).toEqual({ code: 'failed' });
  });
});

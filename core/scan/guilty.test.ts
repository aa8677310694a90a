import { describe, expect, it } from 'vitest';
import { Guilty } from './guilty.ts';

const found = (name: string) => [{ detector: 'yara', judgement: 'malicious' as const, name }];

describe('what was found in files', () => {
  it('is kept by inode until the file is gone', () => {
    const guilty = new Guilty();
    guilty.set('1:2', found('Evil'));
    guilty.set('1:2', found('Worse'));
    expect(guilty.get('1:2')).toEqual(found('Worse'));
    guilty.delete('1:2');
    guilty.delete('1:3');
    expect(guilty.get('1:2')).toBeUndefined();
    expect(guilty.cut).toBe(0);
  });

  it('is bounded, and what has no room is counted', () => {
    const guilty = new Guilty(5_000);
    for (let inode = 0; inode < 1_000; inode++) guilty.set(`1:${inode}`, found('Evil'));
    const kept = Array.from({ length: 1_000 }, (_, inode) => guilty.get(`1:${inode}`)).filter(Boolean);
    expect(kept.length).toBeLessThan(13);
    expect(guilty.cut).toBe(1_000 - kept.length);
    guilty.delete('1:0');
    guilty.set('2:0', found('Evil'));
    expect(guilty.get('2:0')).toEqual(found('Evil'));
  });
});

import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { characterDevice, directory, executable, writeCpio } from './cpio.ts';

const archive = writeCpio([
  directory('dev'),
  characterDevice('dev/console', 5, 1),
  executable('init', Buffer.from('#!/bin/sh\n')),
]);

describe('writeCpio', () => {
  it('begins each entry at a multiple of four bytes and ends with the trailer', () => {
    const text = archive.toString('latin1');
    const begins = [...text.matchAll(/070701/g)].map((match) => match.index);
    expect(begins).toHaveLength(4);
    expect(begins.every((at) => at % 4 === 0)).toBe(true);
    expect(text).toContain('TRAILER!!!\0');
  });

  it('holds nothing but its trailer when it is empty', () => {
    expect(writeCpio([]).length).toBe(124);
  });

  describe.runIf(need({ program: 'cpio', get: 'apt-get install cpio' }))(
    'as the cpio program reads it',
    () => {
      it('lists types, modes and names', () => {
        const listing = execFileSync('cpio', ['-itv', '--quiet', '--numeric-uid-gid'], { input: archive });
        const [first = '', second = '', third = ''] = listing.toString().split('\n');
        expect(first).toMatch(/^drwxr-xr-x .* dev$/);
        expect(second).toMatch(/^crw------- .* 5, +1 .* dev\/console$/);
        expect(third).toMatch(/^-rwxr-xr-x .* 10 .* init$/);
      });

      it('gives the content back', () => {
        expect(
          execFileSync('cpio', ['-i', '--to-stdout', '--quiet', 'init'], { input: archive }).toString(),
        ).toBe('#!/bin/sh\n');
      });
    },
  );
});

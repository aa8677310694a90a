import { describe, expect, it } from 'vitest';
import { parseLine } from './program-output.ts';

const SECRET = 'f00d';

describe('a line of yara', () => {
  it('is a match', () => {
    const match = { rule: 'some_rule', file: 12 };
    expect(parseLine('f00d.12:some_rule /spool/a b', SECRET)).toEqual({ path: '/spool/a b', match });
  });

  it('may say that a file was scanned to its end', () => {
    expect(parseLine('f00d.end:scanned /spool/1', SECRET)).toEqual({ path: '/spool/1', match: undefined });
  });

  it.each([
    'end:scanned /spool/1',
    'beef.end:scanned /spool/1',
    'f00d.end:scanned',
    'f00d.x:rule /spool/1',
    'f00d.1:no-word /spool/1',
    '',
  ])('that a rule printed is none: %j', (line) => {
    expect(parseLine(line, SECRET)).toBeUndefined();
  });
});

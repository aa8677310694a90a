import { describe, expect, it } from 'vitest';
import { parseLine } from './program-output.ts';

const SECRET = 'f00d';

describe('a line of yara', () => {
  it('is a match with its metadata', () => {
    const line = String.raw`f00d.12:some_rule [author="x, \"y\" ] \\ é \x1b \t",n =5,neg=-3,b=true,off=false] /spool/a b`;
    expect(parseLine(line, SECRET)).toEqual({
      path: '/spool/a b',
      match: {
        rule: 'some_rule',
        file: 12,
        meta: { author: 'x, "y" ] \\ é \x1b \t', n: 5, neg: -3, b: true, off: false },
      },
    });
  });

  it('may say that a file was scanned to its end', () => {
    expect(parseLine('f00d.end:scanned [] /spool/1', SECRET)).toEqual({ path: '/spool/1', match: undefined });
  });

  it.each([
    'end:scanned [] /spool/1',
    'beef.end:scanned [] /spool/1',
    'f00d.end:scanned /spool/1',
    'f00d.x:rule [] /spool/1',
    'f00d.1:rule [a="] /spool/1',
    '',
  ])('that a rule printed is none: %j', (line) => {
    expect(parseLine(line, SECRET)).toBeUndefined();
  });
});

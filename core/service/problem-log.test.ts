import { beforeEach, describe, expect, it } from 'vitest';
import { MOST_PROBLEMS, ProblemLog } from './problem-log.ts';
import { type Line, memoryLogger } from './testing/requests.ts';

let lines: Line[];
let log: ProblemLog;
beforeEach(() => {
  const memory = memoryLogger();
  lines = memory.lines;
  log = new ProblemLog(memory.logger);
});

const bad = { detector: 'yara', file: '/rules/bad.yar', line: 1, message: 'syntax error' };
const expired = { detector: 'packs', file: 'acme/web', message: 'the pack has expired' };

describe('what a scan had to do without', () => {
  it('is a warning that names it', () => {
    log.scanEnded('s1', 'web-1', [bad]);
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'the scan of web-1 has a problem: /rules/bad.yar:1: syntax error (yara)',
        facts: { scan: 's1', detector: 'yara', file: '/rules/bad.yar:1' },
      },
    ]);
  });

  it('is said once while it lasts, and again when it is back', () => {
    log.scanEnded('s1', 'web-1', [bad]);
    log.scanEnded('s2', 'web-2', [bad, expired]);
    expect(lines.map(({ facts }) => facts?.scan)).toEqual(['s1', 's2']);
    log.scanEnded('s3', 'web-1', []);
    log.scanEnded('s4', 'web-1', [bad]);
    expect(lines).toHaveLength(3);
  });

  it('is nothing where all was in order', () => {
    log.scanEnded('s1', 'web-1', []);
    expect(lines).toEqual([]);
  });

  it('acts on no terminal, and is counted where there is too much of it', () => {
    const many = Array.from({ length: MOST_PROBLEMS + 5 }, (_, n) => ({ ...bad, file: `/r/\u001b[31m${n}` }));
    log.scanEnded('s1', 'web\u001b-1', many);
    log.scanEnded('s2', 'web\u001b-1', many);
    expect(lines).toHaveLength(MOST_PROBLEMS + 1);
    expect(lines[0]?.message).not.toContain('\u001b');
    expect(lines.at(-1)?.message).toBe('5 more such problems are not in this log');
  });
});

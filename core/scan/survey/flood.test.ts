/** Guests that have no end of what could be protected: the host takes in so much, and then does nothing to their files. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { MOST_INODES } from '../../control/never-touch.ts';
import { SURVEY } from './bounds.ts';
import type { Flood } from './flood.child.ts';

const CHILD = fileURLToPath(new URL('./flood.child.ts', import.meta.url));
const HEAP_MB = 160;
const TOO_MANY = 'withheld: the protected places of this guest are too many to know';

function survey(kind: Flood, count = 0): { sent: number; reason?: string; shell: string } {
  const args = [
    `--max-old-space-size=${HEAP_MB}`,
    '--disable-warning=ExperimentalWarning',
    CHILD,
    kind,
    `${count}`,
  ];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

describe('a survey in a process of little memory', () => {
  it.each<[Flood, number]>([
    ['files', SURVEY.names],
    ['links', SURVEY.names],
    ['modules', MOST_INODES],
  ])(
    'of seventeen million %s ends at its bound, and what is protected by its path stays so',
    (kind, bound) => {
      const { sent, reason, shell } = survey(kind, 17_000_000);
      expect(sent).toBeLessThan(bound + 1024);
      expect(reason).toBe(TOO_MANY);
      expect(shell).toContain('a shell');
    },
  );

  it.each<Flood>(['chain', 'libraries', 'directories'])(
    'of programs whose needs have no end (%s) ends at its bound',
    (kind) => {
      const { sent, reason } = survey(kind);
      expect(sent).toBeLessThan(SURVEY.programs);
      expect(reason).toBe(TOO_MANY);
    },
  );

  it('of a guest that has next to nothing knows all', () => {
    expect(survey('nothing')).not.toHaveProperty('reason');
  });
});

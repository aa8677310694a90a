import { describe, expect, it } from 'vitest';
import { finding } from '../../test/records.ts';
import type { PlannedStep } from '../control/plan.ts';
import { MOST_NAMED, NamedFindings } from './named.ts';

const record = (id: number, path = '/tmp/x') => ({
  ...finding(),
  id: String(id),
  subject: { kind: 'file' as const, path, sha256: 'ab'.repeat(32), size: 1 },
});
const step = (id: number, remediation = 'contain-file') =>
  ({ finding: String(id), remediation }) as PlannedStep;

describe('the findings of a report', () => {
  it('are the first ones, as they are in the end', () => {
    const named = new NamedFindings();
    for (let id = 0; id < 3 * MOST_NAMED; id++) named.note(record(id));
    named.note({ ...record(1), response: 'deleted' });
    named.note({ ...record(2_000), response: 'deleted' });
    expect(named.findings.length).toBeLessThanOrEqual(MOST_NAMED);
    expect(named.findings.slice(0, 3).map(({ id, response }) => [id, response])).toEqual([
      ['0', 'contained'],
      ['1', 'deleted'],
      ['2', 'contained'],
    ]);
  });

  it('are fewer where their paths are long', () => {
    const named = new NamedFindings(100_000);
    for (let id = 0; id < MOST_NAMED; id++) named.note(record(id, '/'.padEnd(4096, 'x')));
    expect(named.findings.length).toBeLessThan(25);
  });

  it('have what was planned for them last, and nothing of others', () => {
    const named = new NamedFindings();
    named.note(record(1));
    named.note(record(2));
    named.planFor('1', { steps: [step(1)], withheld: [] });
    named.planFor('2', { steps: [], withheld: [{ finding: '2', reason: 'protected' }] });
    named.planFor('1', { steps: [step(1, 'delete-file')], withheld: [] });
    named.planFor('3', { steps: [step(3)], withheld: [] });
    expect(named.plan).toEqual({
      steps: [step(1, 'delete-file')],
      withheld: [{ finding: '2', reason: 'protected' }],
    });
  });
});

import { describe, expect, it } from 'vitest';
import { contextOf, fileFinding, processFinding } from '../../../test/conformance/findings.ts';
import { setUp } from '../../../test/conformance/set-up.ts';
import plugin from './index.ts';

const remediation = await setUp(plugin);
const both = ['contain:file', 'delete:file'] as const;
const anyhow = { deleteWhenNotContainable: true };

describe('delete-file', () => {
  it.each([
    { mode: 'delete', granted: both, policy: {} },
    { mode: 'delete', granted: ['delete:file'], policy: {} },
    { mode: 'contain', granted: ['delete:file'], policy: anyhow },
  ] as const)(
    'deletes a malicious file in mode $mode where $granted is granted',
    ({ mode, granted, policy }) => {
      const finding = fileFinding();
      expect(remediation.propose(finding, contextOf(mode, granted, policy))).toEqual([
        { stage: 'remove', instruction: 'delete:file', target: finding.file },
      ]);
    },
  );

  it.each([
    { mode: 'contain', granted: ['delete:file'], policy: {} },
    { mode: 'contain', granted: both, policy: anyhow },
    { mode: 'contain', granted: ['contain:file'], policy: anyhow },
    { mode: 'delete', granted: ['contain:file'], policy: anyhow },
    { mode: 'detect', granted: both, policy: anyhow },
  ] as const)(
    'has no answer in mode $mode where $granted is granted and policy is $policy',
    ({ mode, granted, policy }) => {
      expect(remediation.propose(fileFinding(), contextOf(mode, granted, policy))).toEqual([]);
    },
  );

  it('leaves a suspicious file and a process alone', () => {
    const context = contextOf('delete', both);
    expect(remediation.propose(fileFinding({ judgement: 'suspicious' }), context)).toEqual([]);
    expect(remediation.propose(processFinding(), context)).toEqual([]);
  });
});

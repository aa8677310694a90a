import { describe, expect, it } from 'vitest';
import { contextOf, fileFinding, processFinding } from '../../../test/conformance/findings.ts';
import { setUp } from '../../../test/conformance/set-up.ts';
import plugin from './index.ts';

const remediation = await setUp(plugin);
const both = ['contain:file', 'delete:file'] as const;

describe('contain-file', () => {
  it.each([
    { mode: 'contain', granted: both },
    { mode: 'contain', granted: ['contain:file'] },
    { mode: 'delete', granted: ['contain:file'] },
  ] as const)('contains a malicious file in mode $mode where $granted is granted', ({ mode, granted }) => {
    const finding = fileFinding();
    expect(remediation.propose(finding, contextOf(mode, granted))).toEqual([
      { stage: 'remove', instruction: 'contain:file', target: finding.file },
    ]);
  });

  it.each([
    { mode: 'contain', granted: ['delete:file', 'stop:process'] },
    { mode: 'delete', granted: both },
    { mode: 'delete', granted: ['stop:process'] },
    { mode: 'detect', granted: both },
  ] as const)('has no answer in mode $mode where $granted is granted', ({ mode, granted }) => {
    expect(remediation.propose(fileFinding(), contextOf(mode, granted))).toEqual([]);
  });

  it('leaves a suspicious file and a process alone', () => {
    const context = contextOf('contain', both);
    expect(remediation.propose(fileFinding({ judgement: 'suspicious' }), context)).toEqual([]);
    expect(remediation.propose(processFinding(), context)).toEqual([]);
  });
});

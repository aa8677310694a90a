import { describe, expect, it } from 'vitest';
import { contextOf, fileFinding, processFinding, processTarget } from '../../../test/conformance/findings.ts';
import { setUp } from '../../../test/conformance/set-up.ts';
import plugin from './index.ts';

const remediation = await setUp(plugin);
const stop = ['stop:process'] as const;

describe('stop-process', () => {
  it.each(['contain', 'delete'] as const)('stops a malicious process in mode %s', (mode) => {
    const finding = processFinding();
    expect(remediation.propose(finding, contextOf(mode, stop))).toEqual([
      { stage: 'stop', instruction: 'stop:process', target: finding.process },
    ]);
  });

  it('stops all that runs a malicious file, before the file is taken', () => {
    const runBy = [processTarget({ pid: 100 }), processTarget({ pid: 200 })];
    expect(remediation.propose(fileFinding({ runBy }), contextOf('contain', stop))).toEqual(
      runBy.map((target) => ({ stage: 'stop', instruction: 'stop:process', target })),
    );
  });

  it('has no answer for a file that nothing runs', () => {
    expect(remediation.propose(fileFinding({ runBy: [] }), contextOf('contain', stop))).toEqual([]);
  });

  it('has no answer in mode detect, nor where stopping is not granted', () => {
    const finding = processFinding();
    expect(remediation.propose(finding, contextOf('detect', stop))).toEqual([]);
    expect(remediation.propose(finding, contextOf('delete', ['contain:file', 'delete:file']))).toEqual([]);
  });

  it('leaves what is suspicious alone, and what runs it', () => {
    const context = contextOf('delete', stop);
    const suspicious = { judgement: 'suspicious' } as const;
    expect(remediation.propose(processFinding(suspicious), context)).toEqual([]);
    expect(remediation.propose(fileFinding({ ...suspicious, runBy: [processTarget()] }), context)).toEqual(
      [],
    );
  });
});

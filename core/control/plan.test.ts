import { describe, expect, test } from 'vitest';
import { type FileTarget, GuestPath, type ProcessTarget } from '../../protocol/index.ts';
import type { Finding, PlanningContext, Remediation } from '../api/index.ts';
import { NeverTouch } from './never-touch.ts';
import { type PlanContext, planActions } from './plan.ts';

const file: FileTarget = { path: '/tmp/x', dev: '1', ino: '7', sha256: 'a'.repeat(64) };
const runner: ProcessTarget = { pid: 500, start: '9', executable: { dev: '1', ino: '7' } };
const found = { detections: [], judgement: 'malicious' as const };
const fileFinding: Finding = { ...found, id: 'f1', kind: 'file', file, runBy: [runner] };
const processFinding: Finding = { ...found, id: 'f2', kind: 'process', process: runner };

/** They propose whatever could be done, so that what the plan lets through is the plan's own doing. */
const contain: Remediation = {
  propose: (finding) =>
    finding.kind === 'file' ? [{ stage: 'remove', instruction: 'contain:file', target: finding.file }] : [],
};
const stop: Remediation = {
  propose: (finding) =>
    (finding.kind === 'file' ? finding.runBy : [finding.process]).map((target) => ({
      stage: 'stop',
      instruction: 'stop:process',
      target,
    })),
};
const remediations = [
  { id: 'contain-file', remediation: contain },
  { id: 'stop-process', remediation: stop },
];

const context = (over: Partial<PlanContext> = {}): PlanContext => ({
  mode: 'contain',
  deleteWhenNotContainable: false,
  grants: () => true,
  ...over,
});

const plan = (findings: readonly Finding[], over: Partial<PlanContext> = {}, list = new NeverTouch()) => {
  const { steps, withheld } = planActions(findings, remediations, context(over), list);
  return {
    steps: steps.map(({ finding, remediation, step }) => `${finding} ${remediation} ${step.instruction}`),
    withheld: withheld.map(({ finding, reason }) => `${finding} ${reason}`),
  };
};

describe('a plan', () => {
  test('stops what runs a file before the file is taken, each step once', () => {
    expect(plan([fileFinding, processFinding])).toEqual({
      steps: ['f1 stop-process stop:process', 'f1 contain-file contain:file'],
      withheld: ['f2 the same step answers another finding'],
    });
  });

  test('takes a step that two remediations propose once, and says nothing of it', () => {
    const twice = [...remediations, { id: 'stop-again', remediation: stop }];
    const { steps, withheld } = planActions([processFinding], twice, context(), new NeverTouch());
    expect(steps).toHaveLength(1);
    expect(withheld).toEqual([]);
  });

  test('takes each name of one file', () => {
    const otherName = { ...fileFinding, id: 'f3', file: { ...file, path: '/tmp/y' } };
    expect(plan([fileFinding, otherName]).steps).toHaveLength(3);
  });

  test('of no findings is empty', () => {
    expect(plan([])).toEqual({ steps: [], withheld: [] });
  });

  test('does nothing about what is suspicious only', () => {
    const { steps, withheld } = plan([{ ...fileFinding, judgement: 'suspicious' }]);
    expect(steps).toEqual([]);
    expect(withheld).toEqual([expect.stringContaining('suspicious only')]);
  });

  test('does nothing in the mode detect', () => {
    const { steps, withheld } = plan([fileFinding, processFinding], { mode: 'detect' });
    expect(steps).toEqual([]);
    expect(withheld).toEqual([expect.stringMatching('f1 .*detect'), expect.stringMatching('f2 .*detect')]);
  });

  test('does nothing to a suspended guest, and says why it is', () => {
    const { steps, withheld } = plan([fileFinding, processFinding], { suspended: 'it is a clone of db' });
    expect(steps).toEqual([]);
    const why = /the guest is suspended.*enrolled again: it is a clone of db$/;
    expect(withheld).toEqual([expect.stringMatching(why), expect.stringMatching(why)]);
  });

  test('leaves a protected file and what runs it alone', () => {
    const list = new NeverTouch();
    list.observe(GuestPath.of('/bin/bash'), '1', '7');
    const { steps, withheld } = plan([fileFinding, processFinding], {}, list);
    expect(steps).toEqual([]);
    expect(withheld).toEqual([expect.stringMatching('f1 .*a shell'), expect.stringMatching('f2 .*a shell')]);
    const byPathAlone = { ...fileFinding, file: { ...file, path: '/bin/bash' } };
    expect(plan([byPathAlone]).steps).toEqual([]);
  });

  test('says what the instruction set lacks and does the rest', () => {
    const grants: PlanningContext['grants'] = (name) => name !== 'stop:process';
    expect(plan([fileFinding], { grants })).toEqual({
      steps: ['f1 contain-file contain:file'],
      withheld: ['f1 the instruction set of this guest does not have stop:process'],
    });
  });

  test('says why a finding stands that nobody proposed anything for', () => {
    const reasons = (over: Partial<PlanningContext>) =>
      planActions(
        [{ ...fileFinding, runBy: [] }, processFinding],
        [],
        context(over),
        new NeverTouch(),
      ).withheld.map(({ reason }) => reason);
    expect(reasons({ grants: () => false })).toEqual([
      expect.stringMatching('contain:file, and policy does not let it be deleted'),
      expect.stringMatching('does not have stop:process'),
    ]);
    expect(reasons({ grants: () => false, deleteWhenNotContainable: true })[0]).toMatch(
      'nor does it have delete:file',
    );
    expect(reasons({ grants: () => false, mode: 'delete' })[0]).toMatch('does not have delete:file');
    expect(reasons({})).toEqual(['no remediation contains it', 'no remediation stops it']);
  });
});

/** What every remediation keeps to: it proposes, within mode and instruction set, and never acts. */
import assert from 'node:assert/strict';
import {
  ACTING,
  type ActingInstruction,
  type Finding,
  type Mode,
  type Plugin,
  type Remediation,
  STAGES,
} from '../core/api/index.ts';
import type { Case } from './case.ts';
import { contextOf, fileFinding, processFinding, processTarget } from './findings.ts';
import { setUp } from './set-up.ts';

const MODES: readonly Mode[] = ['detect', 'contain', 'delete'];
const FINDINGS: readonly Finding[] = [
  fileFinding(),
  fileFinding({ runBy: [processTarget(), processTarget({ pid: 4343 })] }),
  processFinding(),
];

/** Every set of instructions that a guest can have been granted. */
const GRANTS: readonly (readonly ActingInstruction[])[] = Array.from(
  { length: 2 ** ACTING.length },
  (_, bits) => ACTING.filter((_, place) => (bits >> place) & 1),
);
const CONTEXTS = MODES.flatMap((mode) =>
  GRANTS.flatMap((granted) =>
    [true, false].map((deleteWhenNotContainable) => ({
      granted,
      context: contextOf(mode, granted, { deleteWhenNotContainable }),
    })),
  ),
);

export function remediationSuite(plugin: Plugin<'remediation'>): readonly Case[] {
  const test = (name: string, work: (remediation: Remediation) => void): Case => ({
    name,
    run: async () => work(await setUp(plugin)),
  });
  return [
    test('proposes something when it may do all', (remediation) => {
      const steps = CONTEXTS.flatMap(({ context }) =>
        FINDINGS.flatMap((finding) => remediation.propose(finding, context)),
      );
      assert.notDeepEqual(steps, []);
    }),
    test('proposes only what was granted and what it requires, in a stage that there is', (remediation) => {
      for (const { context, granted } of CONTEXTS) {
        for (const step of FINDINGS.flatMap((finding) => remediation.propose(finding, context))) {
          assert.ok(granted.includes(step.instruction), `${step.instruction} was not granted`);
          assert.ok(plugin.requires.includes(step.instruction), `it does not require ${step.instruction}`);
          assert.ok(STAGES.includes(step.stage), `there is no stage ${step.stage}`);
        }
      }
    }),
    test('proposes nothing where only detection is asked for', (remediation) => {
      for (const { context } of CONTEXTS.filter(({ context }) => context.mode === 'detect')) {
        for (const finding of FINDINGS) assert.deepEqual(remediation.propose(finding, context), []);
      }
    }),
    test('proposes nothing for what is merely suspicious', (remediation) => {
      for (const { context } of CONTEXTS) {
        for (const finding of FINDINGS) {
          assert.deepEqual(remediation.propose({ ...finding, judgement: 'suspicious' }, context), []);
        }
      }
    }),
    test('aims at nothing but what the finding names, and leaves the finding as it is', aimsWell),
  ];
}

function aimsWell(remediation: Remediation): void {
  for (const finding of FINDINGS) {
    const before = structuredClone(finding);
    const named = finding.kind === 'file' ? [finding.file, ...finding.runBy] : [finding.process];
    const known = new Set(named.map((target) => JSON.stringify(target)));
    for (const { context } of CONTEXTS) {
      const steps = remediation.propose(finding, context);
      assert.deepEqual(remediation.propose(finding, context), steps);
      for (const { target } of steps) assert.ok(known.has(JSON.stringify(target)), JSON.stringify(target));
    }
    assert.deepEqual(finding, before);
  }
}

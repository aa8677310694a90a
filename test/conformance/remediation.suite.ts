/** What every remediation keeps to: it proposes, within mode and instruction set, and never acts. */
import { describe, expect, it } from 'vitest';
import { type Finding, type Mode, type Plugin, STAGES } from '../../core/api/index.ts';
import { ACTING, type ActingInstruction } from '../../protocol/index.ts';
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

export function remediationSuite(plugin: Plugin<'remediation'>): void {
  describe(`${plugin.meta.id} as a remediation`, () => {
    it('proposes something when it may do all', async () => {
      const remediation = await setUp(plugin);
      const steps = CONTEXTS.flatMap(({ context }) =>
        FINDINGS.flatMap((finding) => remediation.propose(finding, context)),
      );
      expect(steps).not.toEqual([]);
    });

    it('proposes only what was granted and what it requires, in a stage that there is', async () => {
      const remediation = await setUp(plugin);
      for (const { context, granted } of CONTEXTS) {
        for (const step of FINDINGS.flatMap((finding) => remediation.propose(finding, context))) {
          expect(granted).toContain(step.instruction);
          expect(plugin.requires).toContain(step.instruction);
          expect(STAGES).toContain(step.stage);
        }
      }
    });

    it('proposes nothing where only detection is asked for', async () => {
      const remediation = await setUp(plugin);
      for (const { context } of CONTEXTS.filter(({ context }) => context.mode === 'detect')) {
        for (const finding of FINDINGS) expect(remediation.propose(finding, context)).toEqual([]);
      }
    });

    it('proposes nothing for what is merely suspicious', async () => {
      const remediation = await setUp(plugin);
      for (const { context } of CONTEXTS) {
        for (const finding of FINDINGS) {
          expect(remediation.propose({ ...finding, judgement: 'suspicious' }, context)).toEqual([]);
        }
      }
    });

    it('aims at nothing but what the finding names, and leaves the finding as it is', async () => {
      const remediation = await setUp(plugin);
      for (const finding of FINDINGS) {
        const before = structuredClone(finding);
        const named = finding.kind === 'file' ? [finding.file, ...finding.runBy] : [finding.process];
        for (const { context } of CONTEXTS) {
          const steps = remediation.propose(finding, context);
          expect(remediation.propose(finding, context)).toEqual(steps);
          for (const { target } of steps) expect(named).toContainEqual(target);
        }
        expect(finding).toEqual(before);
      }
    });
  });
}

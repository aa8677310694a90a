/** Answers what is malicious and runs by stopping it. README.md in this folder gives the conditions. */
import { definePlugin, type Finding, type PlanningContext, type Step } from 'lazaret/plugin';
import { z } from 'zod';

export default definePlugin({
  meta: {
    kind: 'remediation',
    id: 'stop-process',
    version: '1.0.0',
    description: 'Stops malicious processes, and what runs a malicious file',
  },
  options: z.strictObject({}),
  requires: ['stop:process'],
  setup: () => ({ propose }),
});

function propose(finding: Finding, context: PlanningContext): readonly Step[] {
  if (context.mode === 'detect' || finding.judgement !== 'malicious') return [];
  if (!context.grants('stop:process')) return [];
  const targets = finding.kind === 'process' ? [finding.process] : finding.runBy;
  return targets.map((target) => ({ stage: 'stop', instruction: 'stop:process', target }));
}

/** Answers a malicious file with its containment. README.md in this folder gives the conditions. */
import { definePlugin, type Finding, type PlanningContext, type Step } from 'lazaret/plugin';
import { z } from 'zod';

export default definePlugin({
  meta: {
    kind: 'remediation',
    id: 'contain-file',
    version: '1.0.0',
    description: 'Moves malicious files into quarantine',
  },
  options: z.strictObject({}),
  requires: ['contain:file'],
  setup: () => ({ propose }),
});

function propose(finding: Finding, context: PlanningContext): readonly Step[] {
  if (finding.judgement !== 'malicious' || finding.kind !== 'file' || !isDue(context)) return [];
  return [{ stage: 'remove', instruction: 'contain:file', target: finding.file }];
}

function isDue(context: PlanningContext): boolean {
  if (!context.grants('contain:file')) return false;
  return context.mode === 'contain' || (context.mode === 'delete' && !context.grants('delete:file'));
}

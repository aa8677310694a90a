/** Answers a malicious file with its deletion. README.md in this folder gives the conditions. */
import { definePlugin, type Finding, type PlanningContext, type Step } from 'lazaret/plugin';
import { z } from 'zod';

export default definePlugin({
  meta: {
    kind: 'remediation',
    id: 'delete-file',
    version: '1.0.0',
    description: 'Removes malicious files',
  },
  options: z.strictObject({}),
  requires: ['delete:file'],
  setup: () => ({ propose }),
});

function propose(finding: Finding, context: PlanningContext): readonly Step[] {
  if (finding.judgement !== 'malicious' || finding.kind !== 'file' || !isDue(context)) return [];
  return [{ stage: 'remove', instruction: 'delete:file', target: finding.file }];
}

function isDue(context: PlanningContext): boolean {
  if (!context.grants('delete:file')) return false;
  if (context.mode === 'delete') return true;
  return context.mode === 'contain' && !context.grants('contain:file') && context.deleteWhenNotContainable;
}

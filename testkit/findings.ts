/** Findings for trying a remediation, as the host hands them over. */
import { randomUUID } from 'node:crypto';
import type {
  ActingInstruction,
  FileTarget,
  Finding,
  Mode,
  PlanningContext,
  ProcessTarget,
} from '../core/api/index.ts';

type FileFinding = Extract<Finding, { kind: 'file' }>;
type ProcessFinding = Extract<Finding, { kind: 'process' }>;

export const fileTarget = (): FileTarget => ({
  path: '/tmp/dropper',
  dev: '2049',
  ino: '131072',
  sha256: '5a'.repeat(32),
});

export const processTarget = (facts: Partial<ProcessTarget> = {}): ProcessTarget => ({
  pid: 4242,
  start: '99887766',
  executable: { dev: '2049', ino: '131072' },
  ...facts,
});

export const fileFinding = (facts: Partial<FileFinding> = {}): FileFinding => ({
  ...malicious(),
  kind: 'file',
  file: fileTarget(),
  runBy: [],
  ...facts,
});

export const processFinding = (facts: Partial<ProcessFinding> = {}): ProcessFinding => ({
  ...malicious(),
  kind: 'process',
  process: processTarget(),
  ...facts,
});

const malicious = (): Pick<Finding, 'id' | 'judgement' | 'detections'> => ({
  id: randomUUID(),
  judgement: 'malicious',
  detections: [{ judgement: 'malicious', name: 'Test_Dropper' }],
});

/** What a remediation is told of a guest that was granted `granted`. */
export const contextOf = (
  mode: Mode,
  granted: readonly ActingInstruction[],
  { deleteWhenNotContainable = false }: { readonly deleteWhenNotContainable?: boolean } = {},
): PlanningContext => ({
  mode,
  deleteWhenNotContainable,
  grants: (instruction) => granted.includes(instruction),
});

/** The records of the state directory as schemas. Each gives the type of its record, which the compiler holds. */
import { z } from 'zod';
import {
  Features,
  FileState,
  INSTRUCTION_NAMES,
  LoginRequest,
  sha256,
  TARGETS,
  wireBytes,
} from '../../protocol/index.ts';
import { STAGES, UNSCANNED_REASONS } from '../api/index.ts';
import type { ScanProgress, ScanReport } from '../scan/report.ts';
import { OutcomeColumn } from '../store/action-journal.ts';
import type { PackVersion } from '../store/packs.ts';
import {
  type ActionRecord,
  type FindingRecord,
  RESPONSES,
  SCAN_TRIGGERS,
  type ScanRecord,
  type ScanSummary,
  type VaultRecord,
  VM_ACTIONS,
  type VmActionRecord,
  type VmRecord,
} from '../store/records.ts';
import { RequesterColumn, VmActionOutcomeColumn } from '../store/vm-action-journal.ts';

/** Schemas by the names that they have in the OpenAPI document. */
export const VIEWS = z.registry<{ id: string; description?: string }>();

export const count = z.int().min(0);
/** Milliseconds since 1970. */
export const time = z.int();
export const mode = z.enum(['detect', 'contain', 'delete']);
const judgement = z.enum(['malicious', 'suspicious']);

export const ScanProgressView: z.ZodType<ScanProgress> = z
  .object({
    phase: z.enum(['connecting', 'scanning', 'acting', 'finished']),
    filesListed: count,
    bytesListed: count,
    filesDone: count,
    bytesDone: count,
    listingComplete: z.boolean(),
    found: count,
    unscanned: count,
  })
  .register(VIEWS, { id: 'ScanProgressView' });

export const ScanSummaryView: z.ZodType<ScanSummary> = z
  .object({
    files: count,
    bytes: count,
    unchanged: count,
    claimed: count,
    processes: count,
    malicious: count,
    suspicious: count,
    failed: count.exactOptional(),
    unscanned: z.record(z.string(), count),
  })
  .register(VIEWS, { id: 'ScanSummaryView' });

const FindingSubjectView = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('file'),
    path: wireBytes,
    sha256,
    size: count,
    /** Hard links, this one among them: how many there are, and how many of them the scan met. */
    names: z.object({ all: count, found: count.exactOptional() }).exactOptional(),
  }),
  z.object({
    kind: z.literal('process'),
    pid: z.int(),
    start: z.string(),
    uid: z.int(),
    name: wireBytes,
    executable: wireBytes,
    namespace: z.literal('foreign').exactOptional(),
    container: z.object({ runtime: z.string(), id: z.string() }).exactOptional(),
  }),
]);

const DetectionView = z.object({
  detector: z.string(),
  judgement,
  name: z.string(),
  source: z.string().exactOptional(),
  description: z.string().exactOptional(),
  attack: z.array(z.string()).exactOptional(),
});

export const FindingView: z.ZodType<FindingRecord> = z
  .object({
    id: z.string(),
    vm: z.string(),
    scan: z.string(),
    firstSeen: time,
    lastSeen: time,
    judgement,
    subject: FindingSubjectView,
    detections: z.array(DetectionView),
    response: z.enum(RESPONSES),
    reason: z.string().exactOptional(),
  })
  .register(VIEWS, { id: 'FindingView' });

const InstructionView = z.discriminatedUnion('name', [
  z.object({ name: z.literal('stop:process'), target: TARGETS['stop:process'] }),
  z.object({ name: z.literal('contain:file'), target: TARGETS['contain:file'] }),
  z.object({ name: z.literal('delete:file'), target: TARGETS['delete:file'] }),
  z.object({ name: z.literal('restore:file'), target: TARGETS['restore:file'] }),
  z.object({ name: z.literal('update:file'), target: TARGETS['update:file'] }),
]);

export const ActionView: z.ZodType<ActionRecord> = z
  .object({
    id: z.string(),
    vm: z.string(),
    finding: z.string().exactOptional(),
    instructionSet: z.string(),
    epoch: count,
    expires: time,
    instruction: InstructionView,
    intentAt: time,
    outcome: OutcomeColumn.exactOptional(),
    outcomeAt: time.exactOptional(),
  })
  .register(VIEWS, { id: 'ActionView' });

export const VmActionView: z.ZodType<VmActionRecord> = z
  .object({
    id: z.string(),
    vm: z.string(),
    action: z.enum(VM_ACTIONS),
    snapshot: z.string().exactOptional(),
    requester: RequesterColumn,
    intentAt: time,
    outcome: VmActionOutcomeColumn.exactOptional(),
    outcomeAt: time.exactOptional(),
  })
  .register(VIEWS, { id: 'VmActionView' });

export const QuarantineView: z.ZodType<VaultRecord> = z
  .object({
    id: z.string(),
    vm: z.string(),
    finding: z.string().exactOptional(),
    action: z.string(),
    path: wireBytes,
    sha256,
    size: count,
    state: FileState.exactOptional(),
    status: z.enum(['arriving', 'held', 'restored', 'purged']),
    at: time,
  })
  .register(VIEWS, { id: 'QuarantineView' });

export const PackVersionView: z.ZodType<PackVersion> = z
  .object({
    serial: z.int(),
    version: z.string(),
    digest: sha256,
    expires: z.string(),
    signatures: z.int(),
  })
  .register(VIEWS, { id: 'PackVersionView' });

const InstructionSetView = z.object({
  id: z.string(),
  instructions: z.array(z.enum(INSTRUCTION_NAMES)),
  withheld: z.array(
    z.object({
      instruction: z.enum(INSTRUCTION_NAMES),
      reason: z.enum(['not-offered', 'denied-by-guest', 'denied-by-policy']),
    }),
  ),
});

/** Since when nothing is done to a VM, and why. */
export const SuspensionView = z
  .object({ at: time, reason: z.string() })
  .register(VIEWS, { id: 'SuspensionView' });

const VmRecordView: z.ZodType<VmRecord> = z
  .object({
    id: z.string(),
    name: z.string(),
    socket: z.string(),
    agentKey: sha256,
    login: LoginRequest,
    epoch: count,
    enrolledAt: time,
    lastSeen: time,
    features: Features.exactOptional(),
    instructionSet: InstructionSetView.exactOptional(),
    suspended: SuspensionView.exactOptional(),
    resetAt: time.exactOptional(),
  })
  .register(VIEWS, { id: 'VmRecordView' });

const ScanRecordView: z.ZodType<ScanRecord> = z
  .object({
    id: z.string(),
    vm: z.string(),
    mode,
    dryRun: z.boolean(),
    trigger: z.enum(SCAN_TRIGGERS),
    partial: z.literal(true).exactOptional(),
    startedAt: time,
    finishedAt: time.exactOptional(),
    state: z.enum(['running', 'finished', 'failed', 'cancelled']),
    summary: ScanSummaryView.exactOptional(),
    error: z.object({ code: z.string(), message: z.string() }).exactOptional(),
  })
  .register(VIEWS, { id: 'ScanRecordView' });

const stage = z.enum(STAGES);
const StepView = z.discriminatedUnion('instruction', [
  z.object({ stage, instruction: z.literal('stop:process'), target: TARGETS['stop:process'] }),
  z.object({ stage, instruction: z.literal('contain:file'), target: TARGETS['contain:file'] }),
  z.object({ stage, instruction: z.literal('delete:file'), target: TARGETS['delete:file'] }),
]);

const PlanView = z.object({
  steps: z.array(z.object({ finding: z.string(), remediation: z.string(), step: StepView })),
  withheld: z.array(z.object({ finding: z.string(), reason: z.string() })),
});

const ProblemView = z.object({
  detector: z.string(),
  file: z.string(),
  line: z.int().exactOptional(),
  message: z.string(),
});

export const ScanReportView: z.ZodType<ScanReport> = z
  .object({
    vm: VmRecordView,
    scan: ScanRecordView,
    findings: z.array(FindingView),
    followed: z.array(z.object({ path: z.string(), target: z.string() })).exactOptional(),
    unscanned: z.array(
      z.object({
        path: z.string(),
        reason: z.enum(UNSCANNED_REASONS),
        detail: z.string().exactOptional(),
      }),
    ),
    leftOut: z.array(z.object({ path: z.string(), type: z.string() })),
    problems: z.array(ProblemView),
    plan: PlanView,
  })
  .register(VIEWS, { id: 'ScanReportView' });

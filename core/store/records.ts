/** What is kept in the state directory's database, as code sees it. Times are milliseconds since 1970. */
import type {
  Features,
  FileState,
  Instruction,
  LoginRequest,
  Outcome,
  OutcomeCode,
  WireBytes,
} from '../../protocol/index.ts';
import type { Detection, Judgement, Mode } from '../api/index.ts';
import type { InstructionSet } from '../capability/instruction-set.ts';

/** A guest that was enrolled: who it is, which key its agent has, what it can do. */
export interface VmRecord {
  readonly id: string;
  readonly name: string;
  readonly socket: string;
  /** SHA-256 of the agent's public key (SPKI, DER), lower-case hex; pinned at enrolment. */
  readonly agentKey: string;
  readonly login: LoginRequest;
  /** Minted anew whenever the guest was started or restored. */
  readonly epoch: number;
  readonly enrolledAt: number;
  readonly lastSeen: number;
  /** From the last negotiation. */
  readonly features?: Features;
  readonly instructionSet?: InstructionSet;
  /** It is looked at and nothing is done to it, until it is enrolled again. */
  readonly suspended?: Suspension;
  /** Since when its key is forgotten: whoever logs in next is enrolled as a guest that was never seen. */
  readonly resetAt?: number;
}

export interface Suspension {
  readonly at: number;
  /** In words for the operator. */
  readonly reason: string;
}

/** A one-time token as it is kept: `key` checks proofs (`protocol/enrolment.ts`) and does not give the token away. */
export interface TokenRecord {
  readonly id: number;
  readonly vm: string;
  readonly key: Uint8Array;
  readonly createdAt: number;
  readonly expires: number;
  readonly usedAt?: number;
}

/** A guest that logged in and was not let in. */
export interface PendingGuest {
  readonly vm: string;
  readonly name: string;
  readonly socket: string;
  /** SHA-256 of the key that its agent showed, lower-case hex: the fingerprint. */
  readonly agentKey: string;
  readonly login: LoginRequest;
  /** The code with which it was refused last. */
  readonly reason: string;
  readonly firstSeen: number;
  readonly lastSeen: number;
  readonly attempts: number;
}

/** What has a scan begin: somebody asked, the clock, the guest was met for the first time or anew, or a new pack. */
export const SCAN_TRIGGERS = ['manual', 'schedule', 'first-sight', 'connect', 'reverted', 'pack'] as const;
export type ScanTrigger = (typeof SCAN_TRIGGERS)[number];

export interface ScanRecord {
  readonly id: string;
  readonly vm: string;
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly trigger: ScanTrigger;
  /** Only a part of the guest was looked at. */
  readonly partial?: true;
  readonly startedAt: number;
  readonly finishedAt?: number;
  readonly state: 'running' | 'finished' | 'failed' | 'cancelled';
  readonly summary?: ScanSummary;
  /** Why it came to nothing. */
  readonly error?: { readonly code: string; readonly message: string };
}

export interface ScanSummary {
  readonly files: number;
  readonly bytes: number;
  /** Files that were not fetched: they are as they were when they were judged clean before. */
  readonly unchanged: number;
  /** Files that were not fetched: by the guest's own word, their content is one that was judged clean. */
  readonly claimed: number;
  readonly processes: number;
  readonly malicious: number;
  readonly suspicious: number;
  /** Findings of which something that should be done about them failed, or may have; absent when there is none. */
  readonly failed?: number;
  /** Subjects without a verdict, by reason. */
  readonly unscanned: Readonly<Record<string, number>>;
}

/** Of an inode that has several. `found`: those that the scan met; absent while it runs, or where it lost count. */
export interface FileNames {
  readonly all: number;
  readonly found?: number;
}

export type FindingSubject =
  | {
      readonly kind: 'file';
      readonly path: WireBytes;
      readonly sha256: string;
      readonly size: number;
      /** Absent where this is its only name. */
      readonly names?: FileNames;
    }
  | {
      readonly kind: 'process';
      readonly pid: number;
      readonly start: string;
      readonly uid: number;
      readonly name: WireBytes;
      /** As it is shown to the process where the namespace is foreign. */
      readonly executable: WireBytes;
      /** It sees other mounts than the guest does. */
      readonly namespace?: 'foreign';
      /** The container that it is in, where one is known. */
      readonly container?: { readonly runtime: string; readonly id: string };
    };

/**
 * `reported`: nothing was done, for `reason`. `unknown`: the guest has not told what came of it. Others: what was done,
 * by the actions that name this finding.
 */
export const RESPONSES = ['reported', 'stopped', 'contained', 'deleted', 'failed', 'unknown'] as const;

/** One malicious or suspicious subject of one guest. A rescan that meets it again updates it. */
export interface FindingRecord {
  readonly id: string;
  readonly vm: string;
  readonly scan: string;
  readonly firstSeen: number;
  readonly lastSeen: number;
  readonly judgement: Judgement;
  readonly subject: FindingSubject;
  readonly detections: readonly (Detection & { readonly detector: string })[];
  readonly response: (typeof RESPONSES)[number];
  readonly reason?: string;
}

/** What became of a command. `unknown`: what the guest answered cannot be read, and it is not asked again. */
export type RecordedOutcome = Omit<Outcome, 'code'> & { readonly code: OutcomeCode | 'unknown' };

/** One command: its intent, written before the guest heard of it, and what became of it. */
export interface ActionRecord {
  /** The command id. */
  readonly id: string;
  readonly vm: string;
  readonly finding?: string;
  readonly instructionSet: string;
  readonly epoch: number;
  readonly expires: number;
  readonly instruction: Instruction;
  readonly intentAt: number;
  readonly outcome?: RecordedOutcome;
  readonly outcomeAt?: number;
}

/** One contained file in the vault. */
export interface VaultRecord {
  readonly id: string;
  readonly vm: string;
  readonly finding?: string;
  /** The containing command. */
  readonly action: string;
  readonly path: WireBytes;
  readonly sha256: string;
  readonly size: number;
  /** How the file was, from the outcome of its containment; absent while that is open. */
  readonly state?: FileState;
  readonly status: 'arriving' | 'held' | 'restored' | 'purged';
  readonly at: number;
}

export const PATCH_STATES = ['applied', 'satisfied', 'refused', 'rolled-back', 'rollback-failed'] as const;

/** What became of one patch at one guest, each time it was tried. */
export interface PatchRecord {
  readonly id: string;
  readonly vm: string;
  /** The patch's own id. */
  readonly patch: string;
  readonly title: string;
  readonly state: (typeof PATCH_STATES)[number];
  /** Why it was refused or rolled back, and what could not be undone. */
  readonly reasons: readonly string[];
  /** The commands sent for it, in order, those of its roll-back included. */
  readonly actions: readonly string[];
  readonly at: number;
}

/** What can be done to a VM as a whole. */
export const VM_ACTIONS = [
  'start',
  'stop',
  'destroy',
  'pause',
  'resume',
  'attach',
  'detach',
  'snapshot',
  'revert',
] as const;
export type VmAction = (typeof VM_ACTIONS)[number];

/** `unknown`: it may have been done or not, for the reason in `detail`. */
export const VM_ACTION_CODES = ['done', 'failed', 'unknown'] as const;

/** Who had it done: somebody who asked, as configured, or a rule of policy upon what a scan found. */
export type Requester =
  | { readonly kind: 'api'; readonly name: string; readonly role: string }
  | { readonly kind: 'policy'; readonly rule: string; readonly scan: string };

export interface VmActionOutcome {
  readonly code: (typeof VM_ACTION_CODES)[number];
  /** In words for the operator. */
  readonly detail?: string;
}

/** One action upon a VM: its intent, written before the hypervisor heard of it, and what became of it. */
export interface VmActionRecord {
  readonly id: string;
  readonly vm: string;
  readonly action: VmAction;
  /** Of `snapshot` and `revert`: its name. */
  readonly snapshot?: string;
  readonly requester: Requester;
  readonly intentAt: number;
  readonly outcome?: VmActionOutcome;
  readonly outcomeAt?: number;
}

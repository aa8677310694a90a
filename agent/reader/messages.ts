/**
 * What agent and reader say to each other: lines of JSON. They are one program in two processes, so that nothing of
 * it is checked. The bytes that an answer stands for lie in a pipe of their own when the line that tells of them comes.
 */
import type { ContentRequest, InventoryRequest, PieceRequest, WireBytes } from '../../protocol/index.ts';
import type { WalkProgress, WalkState } from '../handlers/walk-state.ts';

/** Where a request for content stands: which file, and how much of which inode was told already. */
export interface ContentState {
  readonly index: number;
  readonly open?: { readonly dev: string; readonly ino: string; readonly size: number; readonly at: number };
}

/** Processes up to this one have been told: so many in this answer, in so many bytes. */
export interface ProcessState {
  readonly after: number;
  readonly told: number;
  readonly bytes: number;
}

/** The work of one request, and what it is begun with or goes on with. */
export type Job =
  | { kind: 'walk'; request: InventoryRequest; known: string; state: WalkState }
  | { kind: 'content'; request: ContentRequest; state: ContentState }
  | { kind: 'digests'; request: ContentRequest; state: ContentState }
  | { kind: 'processes'; isPaged: boolean; state: ProcessState }
  | { kind: 'pieces'; request: PieceRequest; state: ContentState }
  | { kind: 'system' };

export type JobKind = Job['kind'];

/** How far a job came, by its kind. */
export interface Progress {
  readonly walk: WalkProgress;
  readonly content: ContentState;
  readonly digests: ContentState;
  readonly pieces: ContentState;
  readonly processes: ProcessState;
  readonly system: null;
}

/** What no call is made for any more. */
export interface Avoided {
  /** Mount points, for all below. */
  readonly mounts: readonly WireBytes[];
  readonly paths: readonly WireBytes[];
  /** Items of the job: files of a request by their place in it, processes by their number. */
  readonly items: readonly number[];
}

/** The first line. */
export interface Introduction {
  readonly root: string;
  /** Directories of the agent's own, `dev:ino`. */
  readonly own: readonly string[];
  /** Bytes that the pipe holds. */
  readonly capacity: number;
}

export type Ask =
  | { readonly open: number; readonly job: Job; readonly avoided: Avoided }
  /** Answered; so many milliseconds of its time are left to a walk. */
  | { readonly step: number; readonly leftMs: number }
  | { readonly close: number };

/** To each `step`. */
export type Answer =
  /** The first bytes of a long answer; more comes. */
  | { readonly part: number }
  | {
      readonly length: number;
      /** Bytes of files that were read. */
      readonly read: number;
      readonly isDone: boolean;
      readonly progress: Progress[JobKind];
    }
  | { readonly error: string };

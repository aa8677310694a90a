/** Where a walk stands: what another one needs to go on from there. */
import type { WireBytes } from '../../protocol/index.ts';
import type { Followed } from './walk-roots.ts';

/** A directory that is still to be listed: its path in the guest, and where that stands below its tree's top. */
export interface Pending {
  readonly path: Buffer;
  readonly depth: number;
}

/** What a walk has counted. */
export interface Counts {
  entries: number;
  files: number;
  directories: number;
  bytes: number;
}

/** Where a walk begins, or goes on. */
export interface WalkState extends Counts {
  /** Which of the roots is at work. */
  readonly tree: number;
  /** Whether that one has been begun, and the stack is of it. */
  readonly isBegun: boolean;
  readonly stack: readonly (readonly [path: WireBytes, depth: number])[];
  /** A directory of which some lines have been told and more would come. */
  readonly partial?: WireBytes;
  readonly isTooDeep: boolean;
  readonly followed: Followed;
}

/** Where a walk stands, as a change to where it stood before: `keep` of the stack stays, what was pushed comes on it. */
export interface WalkProgress extends Omit<WalkState, 'stack'> {
  readonly keep: number;
  readonly pushed: WalkState['stack'];
}

export const WALK_BEGIN: WalkState = {
  ...{ tree: 0, isBegun: false, stack: [], isTooDeep: false, followed: [] },
  ...{ entries: 0, files: 0, directories: 0, bytes: 0 },
};

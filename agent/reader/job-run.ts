/** A job as the reader carries it out: step by step, each as long as its turn. */

import type { MountTable } from '../linux/mounts.ts';
import type { Root } from '../linux/root.ts';
import type { Avoided, JobKind, Progress } from './messages.ts';
import type { NotePad } from './note.ts';

export interface JobParts {
  readonly number: number;
  readonly root: Root;
  readonly pad: Pick<NotePad, 'at' | 'entry'>;
  readonly mounts: MountTable;
  readonly avoided: Avoided;
  /** Whether a directory (`dev:ino`) is the agent's own. */
  isOwn(identity: string): boolean;
}

export interface Step {
  /** Bytes of the answer to the host; valid until the next step of any job. */
  readonly payload: Buffer;
  /** Bytes of files that were read for it. */
  readonly read: number;
  readonly isDone: boolean;
  readonly progress: Progress[JobKind];
}

export interface JobRun {
  /** Works until a moment on the clock of `performance`, or until there is enough to send. */
  step(until: number, leftMs: number): Step;
  /** Lets go of what it holds open. */
  end(): void;
}

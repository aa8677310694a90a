/** The work of one request. It is gone on with by another reader, where the one that had it is lost. */
import { encodeBytes, type WireBytes } from '../../protocol/index.ts';
import type { WalkProgress } from '../handlers/walk-state.ts';
import { MountTable } from '../linux/mounts.ts';
import type { JobRun } from './job-run.ts';
import type { Avoided, ContentState, Job, ProcessState } from './messages.ts';
import type { Note } from './note.ts';
import { type Answered, type Reader, ReaderLost } from './reader.ts';
import type { Readers } from './readers.ts';
import { begin } from './run-reader.ts';

const UNBOUNDED_MS = Number.MAX_SAFE_INTEGER;

export class Work {
  private readonly number: number;
  private readonly readers: Readers;
  private job: Job;
  private reader: Reader | undefined;
  /** Where no reader can be had. */
  private alone: JobRun | undefined;
  private readonly paths: WireBytes[] = [];
  private readonly items: number[] = [];
  private isOver = false;

  constructor(job: Job, number: number, readers: Readers) {
    this.job = job;
    this.number = number;
    this.readers = readers;
  }

  /** What comes next of the answer. One at a time. Rejects with what goes wrong in the work itself. */
  async next(leftMs = UNBOUNDED_MS): Promise<Answered> {
    while (!this.isOver) {
      const reader = this.readers.reader();
      if (!reader) return this.nextAlone(leftMs);
      try {
        this.openIn(reader);
        const answered = await reader.step(this.number, leftMs);
        this.readers.answered();
        this.goneOn(answered.progress);
        return answered;
      } catch (error) {
        if (!(error instanceof ReaderLost)) throw error;
        if (error.note.job === this.number) this.avoid(error.note);
      }
    }
    throw new Error('this work is over');
  }

  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.reader?.tell({ close: this.number });
    this.alone?.end();
    this.readers.ended();
  }

  private openIn(reader: Reader): void {
    if (this.reader === reader) return;
    this.reader = reader;
    const avoided = { mounts: this.readers.avoided(), paths: this.paths, items: this.items };
    reader.tell({ open: this.number, job: this.job, avoided });
  }

  /** Nothing is asked of any file system: all that is left is told to be unresponsive. */
  private nextAlone(leftMs: number): Answered {
    this.readers.answered();
    if (!this.alone) {
      const { root } = this.readers;
      const mounts = MountTable.read(root);
      const pad = { at: () => undefined, entry: () => undefined };
      const parts = { number: this.number, root, mounts, pad, isOwn: () => false };
      this.alone = begin(this.job, { ...parts, avoided: everything(this.job, mounts) });
    }
    const { payload, ...step } = this.alone.step(0, leftMs);
    return { ...step, payload: Buffer.from(payload), release: () => undefined };
  }

  private avoid({ item, path, name }: Note): void {
    if (this.job.kind !== 'walk') this.items.push(item);
    else this.paths.push(encodeBytes(name.length === 0 ? path : join(path, name)));
  }

  private goneOn(progress: Answered['progress']): void {
    const { job } = this;
    if (job.kind === 'walk') {
      const { keep, pushed, ...rest } = progress as WalkProgress;
      const stack = job.state.stack as (readonly [WireBytes, number])[];
      stack.length = keep;
      stack.push(...pushed);
      this.job = { ...job, state: { ...rest, stack } };
    } else if (job.kind === 'processes') this.job = { ...job, state: progress as ProcessState };
    else if (job.kind !== 'system') this.job = { ...job, state: progress as ContentState };
  }
}

function everything(job: Job, mounts: MountTable): Avoided {
  // The one item of a job that has no list of them is itself.
  const items = 'request' in job && 'files' in job.request ? job.request.files.map((_, item) => item) : [0];
  return { mounts: [...mounts].map(({ path }) => encodeBytes(path)), paths: [], items };
}

const join = (path: Buffer, name: Buffer): Buffer =>
  Buffer.concat(path.at(-1) === 0x2f ? [path, name] : [path, Buffer.from('/'), name]);

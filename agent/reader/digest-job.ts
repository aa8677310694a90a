import { createHash, type Hash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import { encodeLine, type SentDigestLine } from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { openUnavoided, UnreadableFile, type Wanted, wantedOf } from '../handlers/wanted.ts';
import { errnoOf } from '../linux/error.ts';
import type { OpenedFile } from '../linux/root.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';
import type { Job } from './messages.ts';

const PIECE_BYTES = 256 * 1024;
/** So much is read at once, as the pace that the host wants counts it. */
const STEP_BYTES = 1024 * 1024;

export class DigestJob implements JobRun {
  private readonly parts: JobParts;
  private readonly wanted: readonly Wanted[];
  private readonly maxFileBytes: number;
  private readonly piece = Buffer.allocUnsafe(PIECE_BYTES);
  private lines: Buffer[] = [];
  private index: number;
  /** One is unresponsive, which is to be told before another call hangs. */
  private isHeldUp = false;
  private current: { readonly file: OpenedFile; readonly sum: Hash; left: number } | undefined;

  constructor({ request, state }: Extract<Job, { kind: 'digests' }>, parts: JobParts) {
    this.parts = parts;
    this.wanted = request.files.map(wantedOf);
    this.maxFileBytes = request.maxFileBytes;
    this.index = state.index;
  }

  step(until: number): Step {
    let read = 0;
    this.lines = [];
    this.isHeldUp = false;
    while (this.index < this.wanted.length && read < STEP_BYTES) {
      read += this.work();
      if (this.isHeldUp || performance.now() > until) break;
    }
    const { index } = this;
    const isDone = index === this.wanted.length;
    return { payload: Buffer.concat(this.lines), read, isDone, progress: { index } };
  }

  end(): void {
    if (this.current) closeSync(this.current.file.descriptor);
    this.current = undefined;
  }

  private work(): number {
    try {
      if (this.current) return this.digest(this.current);
      const wanted = this.wanted[this.index] as Wanted;
      const file = openUnavoided(wanted, this.index, this.maxFileBytes, this.parts);
      this.current = { file, sum: createHash('sha256'), left: file.status.size };
    } catch (error) {
      const failed = error instanceof UnreadableFile ? error : undefined;
      if (!failed && errnoOf(error) === undefined) throw error;
      const { failure } = failed ?? new UnreadableFile('io-error', messageOf(error));
      this.isHeldUp = failure.reason === 'unresponsive';
      this.tell({ type: 'failure', index: this.index, failure });
    }
    return 0;
  }

  /** As many bytes as the file had when it was opened; throws UnreadableFile when it is another length by now. */
  private digest(current: NonNullable<typeof this.current>): number {
    const asked = Math.min(PIECE_BYTES, current.left + 1);
    this.parts.pad.entry();
    const read = readSync(current.file.descriptor, this.piece, 0, asked, null);
    if (read > current.left) throw new UnreadableFile('grew');
    current.sum.update(this.piece.subarray(0, read));
    current.left -= read;
    if (current.left === 0 && read < asked) {
      const facts = current.file.status.facts();
      this.tell({ type: 'digest', index: this.index, facts, sha256: current.sum.digest('hex') });
    } else if (read === 0) throw new UnreadableFile('shrank');
    return read;
  }

  /** The line of this file; the next one is due. */
  private tell(line: SentDigestLine): void {
    this.lines.push(encodeLine(line));
    this.end();
    this.index++;
  }
}

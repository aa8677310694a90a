import { encodeLine, GuestPath } from '../../protocol/index.ts';
import { pieceLine } from '../handlers/pieces.ts';
import { openUnavoided } from '../handlers/wanted.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';
import type { Job } from './messages.ts';

/** So much is read at once, as the pace that the host wants counts it. */
const STEP_BYTES = 1024 * 1024;
/** A size says nothing here: no more is read than the pieces. */
const ANY_SIZE = Number.POSITIVE_INFINITY;

export class PieceJob implements JobRun {
  private readonly parts: JobParts;
  private readonly files: Extract<Job, { kind: 'pieces' }>['request']['files'];
  private readonly paths: readonly GuestPath[];
  private index: number;

  constructor({ request, state }: Extract<Job, { kind: 'pieces' }>, parts: JobParts) {
    this.parts = parts;
    this.files = request.files;
    this.paths = request.files.map(({ path }) => GuestPath.of(path));
    this.index = state.index;
  }

  step(until: number): Step {
    const lines: Buffer[] = [];
    let read = 0;
    while (this.index < this.files.length && read < STEP_BYTES) {
      const { line, bytes } = this.next();
      lines.push(encodeLine(line));
      read += bytes;
      // What is unresponsive is to be told before another call hangs.
      const isHeldUp = line.type === 'failure' && line.failure.reason === 'unresponsive';
      if (isHeldUp || performance.now() > until) break;
    }
    const { index } = this;
    return { payload: Buffer.concat(lines), read, isDone: index === this.files.length, progress: { index } };
  }

  end(): void {
    this.index = this.files.length;
  }

  private next() {
    const index = this.index++;
    const { pieces } = this.files[index] as (typeof this.files)[number];
    const open = () => openUnavoided(this.paths[index] as GuestPath, index, ANY_SIZE, this.parts);
    return pieceLine(index, pieces, open, () => this.parts.pad.entry());
  }
}

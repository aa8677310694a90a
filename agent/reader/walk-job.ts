import { KnownLines, LineFilter } from '../handlers/known-lines.ts';
import { Walk } from '../handlers/walk.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';
import type { Job } from './messages.ts';

/** Lines are sent in groups of about this many characters. */
const GROUP_CHARACTERS = 64 * 1024;
const FAULT = '{"type":"fault"';

export class WalkJob implements JobRun {
  private readonly walk: Walk;
  private readonly lines: Generator<string>;
  private readonly filter: LineFilter;

  constructor({ request, known, state }: Extract<Job, { kind: 'walk' }>, parts: JobParts) {
    const { root, mounts, avoided, number, pad } = parts;
    this.filter = new LineFilter(new KnownLines(Buffer.from(known, 'base64')));
    const walkParts = {
      ...{ root, mounts, avoided },
      isOwn: (identity: string) => parts.isOwn(identity),
      note: (directory: Buffer) => pad.at(number, 0, directory),
      noteEntry: (name?: Buffer) => pad.entry(name),
    };
    this.walk = new Walk(request, walkParts, state);
    this.lines = this.walk.lines();
  }

  step(until: number, leftMs: number): Step {
    this.walk.resume(leftMs, until);
    let group = '';
    let isDone = false;
    for (let wasWithin = this.walk.isWithin; ; ) {
      const next = this.lines.next();
      isDone = next.done === true;
      if (next.done) break;
      group += this.filter.pass(next.value);
      const { isWithin } = this.walk;
      // A large directory ends a step, so that what hangs behind it cannot cost its rest; so does a fault, which is to be told
      // before another call hangs.
      if ((wasWithin && !isWithin) || next.value.startsWith(FAULT)) break;
      wasWithin = isWithin;
      if (group.length >= GROUP_CHARACTERS || performance.now() > until) break;
    }
    const payload = Buffer.from(group + this.filter.rest());
    return { payload, read: 0, isDone, progress: this.walk.progress() };
  }

  end(): void {
    this.lines.return(undefined);
  }
}

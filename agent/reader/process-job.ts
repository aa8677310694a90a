import { readdirSync } from 'node:fs';
import { encodeLine, LIMITS, type ProcessLine } from '../../protocol/index.ts';
import { describeBriefly, describeProcess } from '../handlers/processes.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';
import type { Job } from './messages.ts';

const GROUP_BYTES = 64 * 1024;

export class ProcessJob implements JobRun {
  private readonly parts: JobParts;
  private readonly pids: readonly number[];
  private readonly hung: ReadonlySet<number>;
  private at = 0;
  private after: number;
  private told: number;

  constructor({ state }: Extract<Job, { kind: 'processes' }>, parts: JobParts) {
    this.parts = parts;
    this.after = state.after;
    this.told = state.told;
    this.hung = new Set(parts.avoided.items);
    this.pids = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid > state.after)
      .sort((one, other) => one - other);
  }

  step(until: number): Step {
    const lines: Buffer[] = [];
    let bytes = 0;
    while (this.at < this.pids.length && this.told < LIMITS.processes && bytes < GROUP_BYTES) {
      const line = this.describe(this.pids[this.at++] as number);
      if (line) {
        this.told++;
        bytes += lines[lines.push(encodeLine(line)) - 1]?.length ?? 0;
      }
      if (this.hung.has(this.after) || performance.now() > until) break;
    }
    const isDone = this.at === this.pids.length || this.told === LIMITS.processes;
    if (isDone) lines.push(encodeLine({ type: 'end', processes: this.told } satisfies ProcessLine));
    const { after, told } = this;
    return { payload: Buffer.concat(lines), read: 0, isDone, progress: { after, told } };
  }

  end(): void {
    this.at = this.pids.length;
  }

  private describe(pid: number): ProcessLine | undefined {
    const { root, pad, number } = this.parts;
    this.after = pid;
    if (this.hung.has(pid)) return describeBriefly(pid);
    pad.at(number, pid, Buffer.from(`/proc/${pid}`));
    return describeProcess(pid, root);
  }
}

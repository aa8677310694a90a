import { readdirSync } from 'node:fs';
import { encodeLine, LIMITS, type ProcessLine } from '../../protocol/index.ts';
import { describeBriefly, describeProcess } from '../handlers/processes.ts';
import { Placement } from '../linux/placement.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';
import type { Job } from './messages.ts';

const GROUP_BYTES = 64 * 1024;

export class ProcessJob implements JobRun {
  private readonly parts: JobParts;
  private readonly isPaged: boolean;
  private readonly placement: Placement;
  private readonly pids: readonly number[];
  private readonly hung: ReadonlySet<number>;
  private at = 0;
  private after: number;
  private told: number;
  /** Of the whole answer. */
  private bytes: number;

  constructor({ isPaged, state }: Extract<Job, { kind: 'processes' }>, parts: JobParts) {
    this.parts = parts;
    this.isPaged = isPaged;
    this.placement = new Placement(parts.root);
    this.after = state.after;
    this.told = state.told;
    this.bytes = state.bytes;
    this.hung = new Set(parts.avoided.items);
    this.pids = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid > state.after)
      .sort((one, other) => one - other);
  }

  step(until: number): Step {
    const lines: Buffer[] = [];
    const most = this.bytes + GROUP_BYTES;
    let end: ProcessLine | undefined;
    while (!end && this.bytes < most) {
      end = this.pageEnd() ?? this.tellNext(lines);
      if (this.hung.has(this.after) || performance.now() > until) break;
    }
    if (end) lines.push(encodeLine(end));
    const { after, told, bytes } = this;
    return {
      payload: Buffer.concat(lines),
      read: 0,
      isDone: end !== undefined,
      progress: { after, told, bytes },
    };
  }

  end(): void {
    this.at = this.pids.length;
  }

  /** The last line, once there is nothing more to tell in this answer. */
  private pageEnd(): ProcessLine | undefined {
    if (this.at >= this.pids.length) return { type: 'end', processes: this.told };
    if (this.isPaged && this.bytes >= LIMITS.processPageBytes) return { type: 'more', after: this.after };
    return undefined;
  }

  /** One more line, unless the process has ended; or the end, where a host that knows of no pages takes no more. */
  private tellNext(lines: Buffer[]): ProcessLine | undefined {
    const process = this.describe(this.pids[this.at++] as number);
    if (!process) return undefined;
    const line = encodeLine(process);
    const limit = this.isPaged ? undefined : this.limitFor(line);
    if (limit) return { type: 'end', processes: this.told, limit };
    lines.push(line);
    this.told += 1;
    this.bytes += line.length;
    return undefined;
  }

  private limitFor(line: Buffer): 'processes' | 'bytes' | undefined {
    if (this.told === LIMITS.processes) return 'processes';
    return this.bytes + line.length > LIMITS.processListBytes ? 'bytes' : undefined;
  }

  private describe(pid: number): ProcessLine | undefined {
    const { root, pad, number } = this.parts;
    this.after = pid;
    if (this.hung.has(pid)) return describeBriefly(pid);
    pad.at(number, pid, Buffer.from(`/proc/${pid}`));
    return describeProcess(pid, root, this.placement);
  }
}

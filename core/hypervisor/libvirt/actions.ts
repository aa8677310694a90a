/**
 * What is done to domains runs in processes of its own, a few at once: a snapshot takes minutes, and a domain that
 * is stuck holds up those who ask for it. Neither may hold up the connection that follows all others.
 */
import { HypervisorError } from '../error.ts';
import type { RequestName, Requests } from './messages.ts';
import { LibvirtProcess } from './process.ts';

const AT_ONCE = 4;
const IDLE_MS = 10_000;

export interface ActionsOptions {
  readonly uri: string;
  readonly openDeadlineMs: number;
}

export class Actions {
  private readonly options: ActionsOptions;
  private readonly all = new Set<LibvirtProcess>();
  private readonly idle: { readonly process: LibvirtProcess; readonly timer: NodeJS.Timeout }[] = [];
  private readonly queue: (() => void)[] = [];
  private running = 0;
  private closed = false;

  constructor(options: ActionsOptions) {
    this.options = options;
  }

  /** Waits for its turn; the deadline begins with it. Rejects with HypervisorError. */
  async run<Name extends RequestName>(
    request: Name,
    ask: Requests[Name]['ask'],
    deadlineMs: number,
  ): Promise<Requests[Name]['answer']> {
    await this.turn();
    try {
      const process = await this.connected();
      const answer = await process.ask(request, ask, deadlineMs).finally(() => this.keep(process));
      return answer;
    } finally {
      this.running -= 1;
      this.queue.shift()?.();
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const { timer } of this.idle) clearTimeout(timer);
    await Promise.all([...this.all].map((process) => process.close()));
  }

  private async turn(): Promise<void> {
    if (this.running >= AT_ONCE) await new Promise<void>((resolve) => this.queue.push(resolve));
    this.running += 1;
  }

  private async connected(): Promise<LibvirtProcess> {
    if (this.closed) throw new HypervisorError('closed', 'the connection to libvirt was closed');
    const kept = this.idle.pop();
    if (kept) {
      clearTimeout(kept.timer);
      return kept.process;
    }
    const process = new LibvirtProcess();
    this.all.add(process);
    void process.ended.then(() => this.forget(process));
    try {
      await process.ask('open', { uri: this.options.uri, events: false }, this.options.openDeadlineMs);
      return process;
    } catch (error) {
      await process.close();
      throw error;
    }
  }

  private keep(process: LibvirtProcess): void {
    if (this.closed || process.isOver) return;
    const timer = setTimeout(() => void process.close(), IDLE_MS);
    this.idle.push({ process, timer });
  }

  private forget(process: LibvirtProcess): void {
    this.all.delete(process);
    const at = this.idle.findIndex((one) => one.process === process);
    if (at >= 0) for (const { timer } of this.idle.splice(at, 1)) clearTimeout(timer);
  }
}

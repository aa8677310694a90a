import { readFileSync } from 'node:fs';

const WATCH_MS = 250;
const KIB = 1024;

/** Looks after the memory of a process and of those that it started, and says once when it is too much. */
export class MemoryWatch implements Disposable {
  private readonly timer: NodeJS.Timeout;

  /** `limit`: bytes that are resident at once. `exceeded` gets the reason, for a person. */
  constructor(pid: number, limit: number, exceeded: (reason: string) => void) {
    this.timer = setInterval(() => {
      if (residentBytes(pid) <= limit) return;
      this[Symbol.dispose]();
      exceeded(`it needs more than ${Math.floor(limit / KIB / KIB)} MiB of memory`);
    }, WATCH_MS);
    this.timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }
}

/** Of the process and all below it. 0 when it is gone. */
export function residentBytes(pid: number): number {
  try {
    const [, kib = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return children.reduce((sum, child) => sum + residentBytes(Number(child)), Number(kib) * KIB);
  } catch {
    return 0;
  }
}

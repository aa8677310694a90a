/**
 * Who runs which executable, for files that are found malicious: what runs one is stopped before it is taken away.
 * The guest is asked once in a scan, when the first such file is found. A process that begins to run one after that
 * is met in the end, when the processes themselves are judged.
 *
 * Of each process no more is kept than names it, for there can be as many as `LIMITS.processes`.
 */
import type { ProcessTarget } from '../../protocol/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import { inodeKey, isRunning, type ListedProcess, type RunningProcess } from './processes.ts';

export class Runners {
  private readonly guest: ConnectedGuest;
  private readonly observe: (process: ListedProcess) => void;
  /** By the device and inode of the executable: `PID@START`, with spaces between them. */
  private listed: Map<string, string> | undefined;

  /** `observe` is called for each process of the guest. */
  constructor(guest: ConnectedGuest, observe: (process: ListedProcess) => void) {
    this.guest = guest;
    this.observe = observe;
  }

  /** Those that run one of these files, by device and inode. Rejects with ChannelError. */
  async of(
    files: Iterable<{ readonly dev: string; readonly ino: string }>,
    signal: AbortSignal,
  ): Promise<Map<string, ProcessTarget[]>> {
    const wanted = [...files];
    if (wanted.length === 0) return new Map();
    this.listed ??= await this.list(signal);
    const found = new Map<string, ProcessTarget[]>();
    for (const { dev, ino } of wanted) {
      const runners = this.listed.get(inodeKey({ dev, ino }));
      if (runners !== undefined) found.set(inodeKey({ dev, ino }), targetsOf(runners, { dev, ino }));
    }
    return found;
  }

  private async list(signal: AbortSignal): Promise<Map<string, string>> {
    const listed = new Map<string, string>();
    const { session, instructionSet } = this.guest;
    if (!instructionSet.instructions.includes('query:processes')) return listed;
    for await (const line of session.listProcesses(signal)) {
      if (line.type !== 'process') continue;
      this.observe(line);
      if (isRunning(line)) this.keep(listed, line);
    }
    return listed;
  }

  private keep(listed: Map<string, string>, { pid, start, executable }: RunningProcess): void {
    const key = inodeKey(executable);
    const others = listed.get(key);
    listed.set(key, others === undefined ? `${pid}@${start}` : `${others} ${pid}@${start}`);
  }
}

function targetsOf(runners: string, executable: ProcessTarget['executable']): ProcessTarget[] {
  return runners.split(' ').map((runner) => {
    const [pid, start = ''] = runner.split('@');
    return { pid: Number(pid), start, executable };
  });
}

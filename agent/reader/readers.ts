/**
 * Readers, one at a time, and what becomes of one that hangs. It is given up: it cannot be ended as long as its call
 * waits in the kernel, so that it stays behind (stranded), and the next one goes on with all work but what hung.
 * That is why the reader is a process: one that waits so keeps neither the agent from ending nor its port open.
 */
import { encodeBytes, type WireBytes } from '../../protocol/index.ts';
import { RefusedError } from '../error.ts';
import { MountTable } from '../linux/mounts.ts';
import type { Root } from '../linux/root.ts';
import type { Job } from './messages.ts';
import { Reader, type ReaderLost } from './reader.ts';
import { Work } from './work.ts';

/** The host takes 15 s without a byte for silence; a slow disk answers within a few seconds. */
export const HUNG_AFTER_MS = 8000;
/** So many calls on one mount that do not come back, and nothing more is asked of it for a while. */
const HUNG_CALLS = 2;
const AVOIDED_MS = 60_000;
/** Readers that are left behind at one time. Each holds its memory until its call comes back. */
export const MOST_STRANDED = 8;
/** Readers that end one after another without having answered anything. */
const MOST_FAILED = 3;
/** A reader that has had nothing to do for so long is ended. */
const IDLE_MS = 10_000;

export interface ReadersOptions {
  readonly root: Root;
  /** Directories of the agent's own, `dev:ino`. */
  readonly own: readonly string[];
  readonly hungAfterMs?: number | undefined;
  /** In place of `MOST_STRANDED`. */
  readonly mostStranded?: number | undefined;
  log(line: string): void;
}

export class Readers {
  private readonly options: ReadersOptions;
  private readonly stranded = new Set<Reader>();
  /** Calls that did not come back, by mount point. */
  private readonly hung = new Map<string, { calls: number; until: number; readonly path: WireBytes }>();
  private current: Reader | undefined;
  private idle: NodeJS.Timeout | undefined;
  private working = 0;
  private failed = 0;
  private numbers = 0;
  /** CPU time of readers that are no more, in microseconds. */
  private spent = 0;

  constructor(options: ReadersOptions) {
    this.options = options;
  }

  /** The work of one request; to be ended. */
  work(job: Job): Work {
    this.working++;
    clearTimeout(this.idle);
    return new Work(job, ++this.numbers, this);
  }

  /** Throws RefusedError when no file system of this guest is asked any more. */
  ready(): void {
    if (this.reader()) return;
    throw new RefusedError(
      'failed',
      `${this.stranded.size} calls do not come back: nothing more is asked for`,
    );
  }

  /** CPU time of all readers, in microseconds. */
  get cpuTime(): number {
    return this.spent + (this.current?.cpuTime ?? 0);
  }

  get root(): Root {
    return this.options.root;
  }

  /** Undefined when too many are stranded. Throws Error when none can be started. */
  reader(): Reader | undefined {
    if (this.current) return this.current;
    if (this.stranded.size >= (this.options.mostStranded ?? MOST_STRANDED)) return undefined;
    if (this.failed >= MOST_FAILED) {
      this.failed = 0;
      throw new Error('the reader of this agent ends as soon as it is started');
    }
    const { root, own, hungAfterMs = HUNG_AFTER_MS } = this.options;
    const reader: Reader = new Reader({
      ...{ root: root.path, own, hungAfterMs },
      onLost: (lost) => this.lost(reader, lost),
    });
    void reader.gone.then(() => this.stranded.delete(reader));
    this.current = reader;
    return reader;
  }

  /** It has answered. */
  answered(): void {
    this.failed = 0;
  }

  ended(): void {
    if (--this.working > 0) return;
    this.idle = setTimeout(() => this.end(), IDLE_MS);
    this.idle.unref();
  }

  /** Mount points of which nothing is asked for now. */
  avoided(): WireBytes[] {
    const now = performance.now();
    for (const [key, { until }] of this.hung) if (until < now) this.hung.delete(key);
    return [...this.hung.values()].filter(({ calls }) => calls >= HUNG_CALLS).map(({ path }) => path);
  }

  /** Ends the reader; one that hangs is left behind. */
  end(isForced = false): void {
    const { current } = this;
    this.current = undefined;
    this.spent += current?.cpuTime ?? 0;
    current?.end(isForced);
  }

  private lost(reader: Reader, { note, message, isHung }: ReaderLost): void {
    if (this.current !== reader) return;
    this.current = undefined;
    this.spent += reader.cpuTime;
    if (isHung) this.stranded.add(reader);
    else this.failed++;
    const isPath = note.path[0] === SLASH;
    const mount = isPath ? MountTable.read(this.root).holding(note.path) : undefined;
    if (!isPath) this.options.log(message);
    else this.options.log(`${message}: ${note.path.toString()}, mounted at ${mount?.path.toString() ?? '?'}`);
    if (!mount) return;
    const key = mount.path.toString('latin1');
    const isWhole = note.name.length === 0 && note.path.equals(mount.path);
    const calls = isWhole ? HUNG_CALLS : (this.hung.get(key)?.calls ?? 0) + 1;
    this.hung.set(key, { calls, until: performance.now() + AVOIDED_MS, path: encodeBytes(mount.path) });
  }
}

const SLASH = 0x2f;

/** One reader process, as the agent holds it. What it is asked is answered in order, one after another. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, readSync } from 'node:fs';
import { extname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { makeMemoryFile, makePipe } from '../linux/pipe.ts';
import { cpuTimeOf } from '../linux/process-clock.ts';
import { startOwn } from '../start-own.ts';
import type { Answer, Ask, Introduction, JobKind, Progress } from './messages.ts';
import { type Note, readNote } from './note.ts';

const PIPE_BYTES = 1024 * 1024;
/** How often a reader that has not answered is looked at. */
const LOOK_MS = 500;
const NEWLINE = 0x0a;
/** Buffers that are kept to be used again. */
const MOST_FREE = 4;
const SCRIPT = fileURLToPath(new URL(`./reader-process${extname(import.meta.filename)}`, import.meta.url));

/** What it was asked is not answered any more: it hangs, or has ended. */
export class ReaderLost extends Error {
  /** What it was at. */
  readonly note: Note;
  readonly isHung: boolean;

  constructor(note: Note, isHung: boolean) {
    super(`the reader is lost: ${isHung ? 'a call of it does not come back' : 'it has ended'}`);
    this.note = note;
    this.isHung = isHung;
  }
}

export interface Answered {
  readonly payload: Buffer;
  readonly read: number;
  readonly isDone: boolean;
  readonly progress: Progress[JobKind];
  /** The payload was used: its memory may serve again. */
  release(): void;
}

interface Pending {
  readonly parts: Buffer[];
  resolve(answer: Answered): void;
  reject(error: Error): void;
}

export interface ReaderOptions extends Omit<Introduction, 'capacity'> {
  /** A call that takes longer does not come back, as far as we are concerned. */
  readonly hungAfterMs: number;
  /** It answers nothing any more; it may be there still, in a call that cannot be broken off. */
  onLost(lost: ReaderLost): void;
}

export class Reader {
  /** Settled when there is no such process any more. */
  readonly gone: Promise<void>;
  private readonly options: ReaderOptions;
  private readonly child: ChildProcess;
  private readonly note: number;
  private readonly pipe: number;
  private readonly pending: Pending[] = [];
  private readonly free: Buffer[] = [];
  private line: Buffer[] = [];
  private watch: { timer: NodeJS.Timeout; lookedAt: number; seen: string; stalledMs: number } | undefined;
  private lost: ReaderLost | undefined;
  private cpu = 0;

  /** Throws SystemError. */
  constructor(options: ReaderOptions) {
    this.options = options;
    const { root, own } = options;
    this.note = makeMemoryFile('lazaret-reader');
    const { readEnd, writeEnd, capacity } = makePipe(PIPE_BYTES);
    this.pipe = readEnd;
    this.child = start(this.note, writeEnd);
    closeSync(writeEnd);
    this.gone = new Promise((resolve) => {
      this.child.once('exit', resolve).once('error', resolve);
    }).then(() => this.lose(false));
    const input = this.child.stdin as Writable;
    // That it has ended is told by its end.
    input.on('error', () => undefined);
    (this.child.stdout as Readable).on('data', (bytes: Buffer) => this.receive(bytes));
    this.write({ root, own, capacity } satisfies Introduction);
  }

  tell(ask: Ask): void {
    if (!this.lost) this.write(ask);
  }

  /** Rejects with ReaderLost, or with what went wrong in the work. */
  step(job: number, leftMs: number): Promise<Answered> {
    if (this.lost) return Promise.reject(this.lost);
    const { promise, resolve, reject } = Promise.withResolvers<Answered>();
    this.pending.push({ parts: [], resolve, reject });
    this.write({ step: job, leftMs });
    this.look();
    return promise;
  }

  /** CPU time in microseconds, as far as it is known. */
  get cpuTime(): number {
    if (this.child.pid !== undefined) this.cpu = cpuTimeOf(this.child.pid) ?? this.cpu;
    return this.cpu;
  }

  /** It ends as soon as it has done what it was asked; at once when `isForced`. */
  end(isForced = false): void {
    this.child.stdin?.end();
    if (isForced) this.child.kill('SIGKILL');
  }

  private write(line: Ask | Introduction): void {
    this.child.stdin?.write(`${JSON.stringify(line)}\n`);
  }

  private receive(bytes: Buffer): void {
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...this.line, bytes.subarray(from, end)]).toString();
      this.line = [];
      from = end + 1;
      if (!this.lost) this.take(JSON.parse(line) as Answer);
    }
    if (from < bytes.length) this.line.push(Buffer.from(bytes.subarray(from)));
  }

  private take(answer: Answer): void {
    const pending = this.pending[0];
    if (!pending) {
      // It answers what it was not asked.
      this.lose(false);
      this.child.kill('SIGKILL');
      return;
    }
    if ('part' in answer) {
      pending.parts.push(Buffer.from(this.bytes(answer.part)));
      return;
    }
    this.pending.shift();
    this.look();
    if ('error' in answer) {
      pending.reject(new Error(answer.error));
      return;
    }
    const { length, read, isDone, progress } = answer;
    const last = this.bytes(length);
    const payload = pending.parts.length === 0 ? last : Buffer.concat([...pending.parts, last]);
    pending.resolve({ payload, read, isDone, progress, release: () => this.keep(last) });
  }

  /** They lie in the pipe already: this waits for nothing. */
  private bytes(length: number): Buffer {
    const place = this.free.findIndex((buffer) => buffer.buffer.byteLength >= length);
    const [free] = place < 0 ? [] : this.free.splice(place, 1);
    const bytes = Buffer.from(free?.buffer ?? new ArrayBuffer(Math.max(length, PIPE_BYTES / 4)), 0, length);
    for (let at = 0; at < length; ) at += readSync(this.pipe, bytes, at, length - at, null);
    return bytes;
  }

  private keep(buffer: Buffer): void {
    if (this.free.length < MOST_FREE && !this.lost) this.free.push(buffer);
  }

  /** From here on its silence counts anew, as long as there is something that it has not answered. */
  private look(): void {
    if (this.watch) clearInterval(this.watch.timer);
    this.watch = undefined;
    if (this.pending.length === 0 || this.lost) return;
    const timer = setInterval(() => this.lookAgain(), LOOK_MS);
    this.watch = { timer, lookedAt: performance.now(), seen: '', stalledMs: 0 };
  }

  private lookAgain(): void {
    const { watch } = this;
    if (!watch) return;
    // One that gets no turn on a busy machine notes nothing either; but one that waits in a call uses no CPU at all.
    const seen = `${readNote(this.note).count} ${this.cpuTime}`;
    const now = performance.now();
    // Where this process was held up itself, the time that went by says little.
    const waited = Math.min(now - watch.lookedAt, 2 * LOOK_MS);
    watch.stalledMs = seen === watch.seen ? watch.stalledMs + waited : 0;
    [watch.lookedAt, watch.seen] = [now, seen];
    if (watch.stalledMs < this.options.hungAfterMs) return;
    this.lose(true);
    this.child.kill('SIGKILL');
  }

  private lose(isHung: boolean): void {
    if (this.lost) return;
    this.lost = new ReaderLost(readNote(this.note), isHung);
    this.cpu = this.cpuTime;
    this.look();
    closeSync(this.note);
    closeSync(this.pipe);
    this.free.length = 0;
    this.child.stdin?.destroy();
    this.child.stdout?.destroy();
    for (const { reject } of this.pending.splice(0)) reject(this.lost);
    this.options.onLost(this.lost);
  }
}

const start = (note: number, pipe: number): ChildProcess =>
  startOwn('reader', SCRIPT, ['pipe', 'pipe', 'inherit', note, pipe]);

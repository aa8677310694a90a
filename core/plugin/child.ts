/**
 * One run of a plugin's child process, seen from the host: messages in and out, each checked, and the limits. It
 * is killed when it says what it must not, needs more memory than it may, or is told to; it does not come back.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { MemoryWatch } from '../api/index.ts';
import { type FromChild, fromChild, MAX_LINE, type ToChild } from './messages.ts';

const NOTE_BYTES = 500;

export class PluginChild {
  /** Resolves with the reason when the process has ended. */
  readonly ended: Promise<string>;
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly onMessage: (message: FromChild) => void;
  private readonly watch: MemoryWatch | undefined;
  private reason: string | undefined;
  private rest = '';
  private note = '';

  constructor(
    started: ChildProcessWithoutNullStreams,
    memoryBytes: number,
    onMessage: (message: FromChild) => void,
  ) {
    this.process = started;
    this.onMessage = onMessage;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    this.watch =
      started.pid === undefined
        ? undefined
        : new MemoryWatch(started.pid, memoryBytes, (reason) => this.kill(reason));
    started.stdout.setEncoding('utf8').on('data', (text: string) => this.read(text));
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.note = (this.note + text).slice(-NOTE_BYTES);
    });
    // Writing to a process that is gone fails; that it is gone is told below.
    started.stdin.on('error', () => undefined);
    started.once('error', (error) => {
      this.reason ??= error.message;
    });
    started.once('close', (code, signal) => {
      this.watch?.[Symbol.dispose]();
      const said = this.note.trim();
      resolve(this.reason ?? `it ended by itself (${signal ?? `exit ${code}`})${said && `: ${said}`}`);
    });
  }

  send(message: ToChild): void {
    this.process.stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** The first reason is the one that is told. */
  kill(reason: string): void {
    this.reason ??= reason;
    this.process.kill('SIGKILL');
  }

  private read(text: string): void {
    if (this.reason !== undefined) return;
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.take(line);
    if (this.rest.length > MAX_LINE) this.kill(`it said more than ${MAX_LINE} bytes in one line`);
  }

  private take(line: string): void {
    if (this.reason !== undefined) return;
    const message = parse(line);
    if (message) this.onMessage(message);
    else this.kill('it said what the host does not understand');
  }
}

function parse(line: string): FromChild | undefined {
  if (line.length > MAX_LINE) return undefined;
  try {
    return fromChild.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

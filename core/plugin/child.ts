/**
 * One run of a plugin's child process, seen from the host: messages in and out, each checked, and the limits. It
 * is killed when it says what it must not, needs more memory than it may, or is told to; it does not come back.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { MemoryWatch } from '../api/index.ts';
import { type FromChild, MAX_LINE, type ToChild, understand } from './messages.ts';

/** What is kept of what it prints, and how much it may print. */
const NOTE_CHARACTERS = 500;
const MAX_PRINTED = 64 * 1024 * 1024;
const KIB = 1024;

export class PluginChild {
  /** Resolves with the reason when the process has ended. */
  readonly ended: Promise<string>;
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly onMessage: (message: FromChild) => void;
  private readonly watch: MemoryWatch | undefined;
  private reason: string | undefined;
  private rest = '';
  private note = '';
  private printed = 0;

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
    started.stderr.setEncoding('utf8').on('data', (text: string) => this.keepNote(text));
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
    if (this.rest.length > MAX_LINE) this.kill(`it said more than ${MAX_LINE} characters in one line`);
  }

  private take(line: string): void {
    if (this.reason !== undefined) return;
    const said = understand(line);
    if ('message' in said) this.onMessage(said.message);
    else this.kill(`it said what the host does not understand: ${said.complaint}`);
  }

  private keepNote(text: string): void {
    this.note = (this.note + text).slice(-NOTE_CHARACTERS);
    this.printed += text.length;
    if (this.printed > MAX_PRINTED) this.kill(`it printed more than ${MAX_PRINTED / KIB / KIB} MiB`);
  }
}
